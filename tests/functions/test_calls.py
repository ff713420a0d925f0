"""What one mention costs in calls to GitLab, from its delivery to its reply, on a warm instance."""

import json
import time

from tests.support import fakes
from tests.support.event_cases import ADA, API_TOKEN, PROJECT, TRIGGER_TOKENS, seed
from tests.support.gitlab.server import GitLab
from tests.support.platforms.local import Local


def test_a_mention_takes_six_calls_to_its_pipeline_and_three_to_its_reply() -> None:
    secrets = json.dumps({"api_token": API_TOKEN, "trigger_tokens": TRIGGER_TOKENS})
    with GitLab() as gitlab:
        seed(gitlab)
        with Local(gitlab.url, fakes.WEBHOOK_SECRETS, secrets) as platform:
            for iid, first in ((5, 1), (6, 0), (7, 0)):  # who we are is asked once
                gitlab.issue(PROJECT, iid, author_id=ADA)
                note = gitlab.note(PROJECT, "issue", iid, author_id=ADA, body="@claude fix it")
                _, body = gitlab.note_hook(note)
                gitlab.calls.clear()
                assert platform.deliver("POST", fakes.sign(body, time.time()), body).status == 202
                platform.settle()
                assert gitlab.calls[-1].method == "POST"
                paths = [call.path.rpartition("/")[2] for call in gitlab.calls]
                assert paths.index("pipeline") < 6 + first, paths
                assert len(paths) <= 9 + first, paths  # the pipeline, its jobs, the reply
        assert len(gitlab.pipelines) == 3
