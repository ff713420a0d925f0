"""What others' refusals mean, by their words."""

import pytest

from job import refusals
from job.failures import Reason
from job.harmless import quiet

ENTRA = "AADSTS7002xx: No matching federated identity record found for presented assertion "
COMPARED = "Check your federated identity credential Subject, Audience and Issuer."
GOOGLE = '{"error": "invalid_grant", "error_description": "'
NOT_YET = "Vertex AI API has not been used in project 1 before or it is disabled. Enable it by"


@pytest.mark.parametrize(
    ("said", "reason", "words"),
    [
        ("remote: GitLab: Commit message does not follow the pattern '^JIRA-[0-9]+$'",
         Reason.PUSH_RULE, "`Commit message does not follow the pattern '^JIRA-[0-9]+$'`"),
        ("remote: GitLab: Branch name does not follow the pattern 'archived/.*'",
         Reason.PUSH_RULE, "archived/.*"),
        ("remote: GL-HOOK-ERR: Ask @all first. `x`", Reason.PUSH_RULE, "`Ask @all first. 'x'`"),
        ("remote: GitLab: Branch name 'x' does not follow the pattern 'y'", Reason.PUSH_RULE,
         "`Branch name 'x' does not follow the pattern 'y'`"),
        ("remote: GitLab: You cannot push commits for 'a@b'. …", Reason.PUSH_RULE, "a@b"),
        ("! [remote rejected] a -> b (pre-receive hook declined)", Reason.PUSH_RULE, "a hook"),
        ("remote: GitLab: Commit must be signed with a GPG key", Reason.PUSH_UNSIGNED,
         "input signing_key_variable"),
        ("remote: GitLab: Commit must be signed", Reason.PUSH_UNSIGNED, "rejects unsigned commits"),
        ("remote: GL-HOOK-ERR: The agreement must be signed", Reason.PUSH_RULE, "agreement"),
        ("remote: GitLab: You are not allowed to push code to protected branches on this project.",
         Reason.PUSH_PROTECTED, "the branch is protected"),
        ("remote: GitLab:\nremote: PUSH BLOCKED: Secrets detected in code changes",
         Reason.PUSH_SECRET, "a secret"),
        ('remote: GitLab: File "a" is larger than the allowed size of 1 MiB.', Reason.PUSH_SIZE,
         "too large"),
        ("remote: GitLab: … this repository has exceeded its size limit of 1 GiB …",
         Reason.PUSH_SIZE, "too large"),
        ("error: RPC failed; HTTP 413 curl 22", Reason.PUSH_SIZE, "too large"),
        ("remote: GitLab: Git push is not allowed because … in (read-only) maintenance mode.",
         Reason.PUSH_READ_ONLY, "read-only"),
        ("remote: You are not allowed to push code to this project.", Reason.PUSH_REJECTED,
         "GITLAB_ACCESS_TOKEN needs write_repository"),
        ("fatal: unable to access 'u': Could not resolve host", Reason.PUSH_REJECTED, "needs"),
        ("! [rejected] (fetch first)", Reason.PUSHED_MEANWHILE, "Somebody pushed"),
        ("! [rejected] a -> b (stale info)", Reason.PUSHED_MEANWHILE, "Somebody pushed"),
    ],
)  # fmt: skip
def test_a_push_is_refused_by_gitlab_s_words(said: str, reason: Reason, words: str) -> None:
    failure = refusals.push(said, "claude/issue-5-9", "GITLAB_ACCESS_TOKEN")
    assert failure.reason is reason
    assert words in failure.text
    assert words in quiet(failure.text)  # what is quoted does nothing, and stays to the letter


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("400: <Code>InvalidIdentityToken</Code><Message>Incorrect token audience", "audience"),
        ("400: <Message>No OpenIDConnect provider found in your account for x", "issuer"),
        ("403: <Message>Not authorized to perform sts:AssumeRoleWithWebIdentity", "conditions"),
        ("400: <Message>Couldn't retrieve verification key from your identity", "public keys"),
        ("400: The requested DurationSeconds exceeds the MaxSessionDuration", "maximum session"),
        ("400: ExpiredTokenException: Token expired", "expired"),
        (f"400: {GOOGLE}The audience in ID Token [x] does not match the expected", "audience"),
        (f"400: {GOOGLE}Error connecting to the given credential's issuer.", "public keys"),
        (f"403: {GOOGLE}The given credential is rejected by the attribute condition", "conditions"),
        ('400: Invalid value for \\"audience\\". This value should be', "names no provider"),
        ("403: Permission 'iam.serviceAccounts.getAccessToken' denied", "workloadIdentityUser"),
        ("404: Not found; Gaia id not found for email a@b", "workloadIdentityUser"),
        ("403: IAM Service Account Credentials API has not been used in project", "switched off"),
        (f"401: {ENTRA}subject 'project_path:g/p'. {COMPARED}", "conditions of its role"),
        (f"401: {ENTRA}issuer 'https://g'. {COMPARED}", "no identity provider"),
        (f"401: {ENTRA}audience 'https://g'. {COMPARED}", "audience"),
        ("401: nobody has heard this", "Check the key, or the role and its policy"),
        ("no credential in the answer", "Check the key"),
    ],
)  # fmt: skip
def test_an_identity_is_refused_with_its_cause(said: str, words: str) -> None:
    failure = refusals.exchange(said, "vertex")
    assert failure.reason is Reason.NOT_SIGNED_IN
    assert failure.text.startswith("The model provider did not accept the job's identity. ")
    assert words in failure.text


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("URLError", Reason.PROVIDER_UNREACHABLE),
        ("TimeoutError", Reason.PROVIDER_UNREACHABLE),
        ("503: unavailable", Reason.OVERLOADED),
        ("429: slow down", Reason.OVERLOADED),
    ],
)
def test_a_token_service_that_does_not_answer_refuses_nobody(said: str, reason: Reason) -> None:
    assert refusals.exchange(said, "bedrock").reason is reason


@pytest.mark.parametrize(
    ("status", "said", "reason"),
    [
        (400, "Credit balance is too low", Reason.NO_CREDIT),
        (400, "You have reached your specified API usage limits.", Reason.NO_CREDIT),
        (400, "Prompt is too long", Reason.PROMPT_TOO_LONG),
        (400, "ValidationException: Input is too long for it.", Reason.PROMPT_TOO_LONG),
        (400, "Invocation of model ID x with on-demand throughput isn't supported.",
         Reason.MODEL_PROFILE),
        (400, "The provided model identifier is invalid.", Reason.MODEL_UNKNOWN),
        (403, "You don't have access to the model with the specified model ID.",
         Reason.MODEL_NOT_ALLOWED),
        (403, "User: a is not authorized to perform: bedrock:InvokeModel",
         Reason.MODEL_NOT_ALLOWED),
        (403, "is not authorized to perform: aws-external-anthropic:CreateInference",
         Reason.MODEL_NOT_ALLOWED),
        (403, "Permission 'aiplatform.endpoints.predict' denied", Reason.MODEL_NOT_ALLOWED),
        (403, NOT_YET, Reason.PROVIDER_OFF),
        (403, "This organization has been disabled.", Reason.ACCOUNT_DISABLED),
        (400, "Access … is not allowed from unsupported countries, regions, or territories.",
         Reason.REGION_NOT_SERVED),
        (400, "This model is not available in your region", Reason.REGION_NOT_SERVED),
        (403, "The security token included in the request is invalid.", Reason.NOT_SIGNED_IN),
        (403, "check Vertex AI model access · API Error: 403 anything", Reason.NOT_SIGNED_IN),
        (403, "anything", Reason.NOT_SIGNED_IN),
        (401, "quota", Reason.NOT_SIGNED_IN),
        (404, "Publisher Model `x` was not found", Reason.MODEL_UNKNOWN),
        (404, "", Reason.MODEL_UNKNOWN),
        (429, "Quota exceeded for aiplatform.googleapis.com/online", Reason.QUOTA),
        (429, "Too many requests", Reason.RATE_LIMITED),
        (529, "Overloaded", Reason.OVERLOADED),
        (500, "quota", Reason.OVERLOADED),
        (None, "Overloaded", Reason.OVERLOADED),
        (400, "anything", Reason.API_REFUSED),
        (None, "API Error: Connection error.", Reason.PROVIDER_UNREACHABLE),
        (None, "Could not load credentials from any providers", Reason.NOT_SIGNED_IN),
        (None, "Incorrect token audience: InvalidIdentityToken", Reason.NOT_SIGNED_IN),
        (None, "anything", Reason.CLAUDE_FAILED),
    ],
)  # fmt: skip
def test_a_call_fails_by_what_was_said(status: int | None, said: str, reason: Reason) -> None:
    failure = refusals.call(status, said, "bedrock", 1)
    assert failure.reason is reason
    assert "None" not in failure.text


def test_a_provider_s_own_sentence_is_told_where_nothing_better_is_known() -> None:
    said = 'API Error: 400 {"error":{"type":"x","message":"max_tokens: too large for @all."}}'
    text = refusals.call(400, said, "anthropic", 1).text
    assert text.startswith("The provider refused the call (400): `max_tokens: too large for @all`.")
    assert quiet(text) == text
    text = refusals.call(400, "API Error: 400 max_tokens: 9 > 8", "anthropic", 1).text
    assert text.startswith("The provider refused the call (400): `max_tokens: 9 > 8`.")
