"""What one mention costs in calls to GitLab, from its delivery to its reply, on a warm instance."""

import json
import time

from tests.support import fakes
from tests.support.event_cases import ADA, API_TOKEN, PROJECT, TRIGGER_TOKENS, seed
from tests.support.gitlab.server import GitLab
from tests.support.platforms.local import Local


def test_a_mention_takes_seven_calls_and_the_first_one_more() -> None:
    secrets = json.dumps({"api_token": API_TOKEN, "trigger_tokens": TRIGGER_TOKENS})
    with GitLab() as gitlab:
        seed(gitlab)
        with Local(gitlab.url, fakes.WEBHOOK_SECRETS, secrets) as platform:
            for iid, most in ((5, 8), (6, 7), (7, 7)):
                gitlab.issue(PROJECT, iid, author_id=ADA)
                note = gitlab.note(PROJECT, "issue", iid, author_id=ADA, body="@claude fix it")
                _, body = gitlab.note_hook(note)
                gitlab.calls.clear()
                assert platform.deliver("POST", fakes.sign(body, time.time()), body).status == 202
                platform.settle()
                assert gitlab.calls[-1].method == "POST"
                assert len(gitlab.calls) <= most, gitlab.calls
        assert len(gitlab.pipelines) == 3
