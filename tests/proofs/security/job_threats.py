"""What threatens the job: each was shown to work on a job that was not guarded."""

from typing import NamedTuple


class Threat(NamedTuple):
    """A threat, its cure, tests by path and name under tests/, parts of `make security`."""

    id: str
    name: str
    cure: str
    tests: tuple[str, ...]
    parts: tuple[str, ...] = ()


_HOSTILE = "templates/test_hostile.py"
_IDENTITY = "templates/test_identity.py"

JOB_THREATS = (
    Threat(
        "J1",
        "A comment that begins with an option: `--settings={hooks…}` ran a command",
        "The request comes by standard input; nothing of it is an argument.",
        (
            f"{_HOSTILE}::test_a_hostile_comment_reaches_claude_to_the_letter_and_does_nothing",
            "job/test_claude.py::test_nothing_of_the_request_is_an_argument",
            "job/test_claude.py::test_the_request_comes_by_standard_input",
        ),
    ),
    Threat(
        "J2",
        "Slash commands and `@/etc/passwd` that the CLI itself expands",
        "The request stands behind a sentence of ours, as JSON in which no `@` and no `/` acts.",
        (
            "job/test_prompt.py::test_in_data_nothing_acts_or_hides",
            "job/test_prompt.py::test_no_word_is_a_path",
        ),
    ),
    Threat(
        "J3",
        "Hooks, MCP servers and addresses in the repository's settings",
        "`--setting-sources user` and `--strict-mcp-config`; not even the default branch's settings are obeyed.",
        (f"{_HOSTILE}::test_settings_of_the_default_branch_are_not_obeyed_either",),
    ),
    Threat(
        "J4",
        "A test or an install script reads the job's tokens: environment, `/proc`, memory, files, clone, cache",
        "Claude is another user, or in a user namespace, or confined by Landlock, or cannot read the job's processes (its files then); a probe decides. "
        "Else commands are refused. What signs Claude in stays in reach: short-lived with identity tokens, the key itself with a key.",
        (
            f"{_IDENTITY}::test_commands_find_what_signs_claude_in_and_nothing_else",
            f"{_IDENTITY}::test_without_the_cure_the_same_search_finds_everything",
            f"{_IDENTITY}::test_where_nothing_protects_the_job_commands_are_refused",
            f"{_IDENTITY}::test_the_conversation_goes_on_under_each_protection",
            "job/test_claude.py::test_only_named_commands_bring_bash",
            "job/test_workspace.py::test_the_job_token_leaves_the_clone",
        ),
    ),
    Threat(
        "J5",
        "What Claude writes into `.git`, or through links, runs or leads elsewhere",
        "The job commits with a Git folder Claude could not reach, follows no links, and commits no repository inside.",
        (
            f"{_HOSTILE}::test_what_claude_writes_into_the_git_folder_never_runs",
            "job/test_workspace.py::test_nothing_in_the_git_folder_is_obeyed_when_the_job_commits",
            "job/test_workspace.py::test_a_merge_request_that_makes_an_agent_folder_a_link_writes_nowhere",
            "job/test_artifacts.py::test_artifacts_are_written_where_a_branch_cannot_lead_them",
            "job/test_left.py::test_the_archive_holds_them_without_secrets_and_follows_no_link",
            "job/test_workspace.py::test_files_of_the_default_branch_are_read_and_links_followed_within_it",
        ),
    ),
    Threat(
        "J6",
        "A change of CI/CD configuration by Claude that runs with secrets when it is pushed",
        "Such a push starts no pipeline: a person starts the first one.",
        (
            f"{_HOSTILE}::test_changed_ci_configuration_is_pushed_without_a_pipeline",
            "job/test_ci_files.py::test_local_includes_of_any_depth_and_children_count",
            "job/test_ci_files.py::test_every_way_to_write_an_include_is_one",
        ),
    ),
    Threat(
        "J7",
        "Failures that look like success: denied tools, API errors with `subtype=success`",
        "Exit code and `is_error` decide; denied tools are counted and told.",
        (
            "job/test_claude.py::test_the_end_is_judged_by_exit_code_and_is_error",
            "job/test_claude.py::test_denied_tools_are_counted",
        ),
    ),
    Threat(
        "J8",
        "An MCP server that merges, approves or deletes",
        "None by default; the one on offer reads only, with a token of its own.",
        (
            "job/test_mcp.py::test_the_gitlab_mcp_server_reads_with_a_token_of_its_own",
            "job/test_mcp.py::test_without_its_token_there_is_no_mcp_server",
        ),
    ),
    Threat(
        "J9",
        "An installer from the network, unpinned",
        "Locks with hashes, no scripts, no secrets, no configuration of the repository; another version of Claude Code than the pinned one has no hash, and the log says so.",
        (
            "job/test_install.py::test_every_package_of_a_lock_has_a_version_and_a_strong_hash",
            "job/test_install.py::test_a_configuration_in_the_repository_is_not_npm_s",
            "job/test_install.py::test_claude_is_installed_once_from_a_lock_and_without_secrets_or_scripts",
            "templates/test_component.py::test_the_versions_of_the_tools_under_test_are_the_component_s",
        ),
    ),
    Threat(
        "J10",
        "Secrets in what leaves the job: log, artifacts, reply, merge request, commit; forged sections in its log",
        "Every secret the job holds, variables of the input `environment` included, is masked in the usual spellings, and so "
        "is what has a token's form; a commit that would bring one is not pushed. Control characters do not get through.",
        (
            "templates/test_confidential.py::test_a_secret_leaves_the_job_in_no_output",
            "job/test_masking.py::test_every_spelling_is_masked_and_found",
            "job/test_masking.py::test_values_are_secrets_by_name_by_choice_and_in_files",
            "job/test_branch.py::test_a_change_that_brings_a_secret_is_not_pushed_and_the_file_is_named",
            "job/test_gitlab.py::test_no_text_that_is_written_holds_a_secret",
            "job/test_job_log.py::test_a_secret_is_masked_wherever_it_stands",
            "job/test_job_log.py::test_no_text_can_forge_a_section",
        ),
    ),
    Threat(
        "J11",
        "The job's identity token opens the project's deploy roles",
        "An audience of its own; the token is exchanged before Claude starts, which gets the result only; roles that call models and do nothing else.",
        (
            "job/test_signin.py::test_the_identity_token_never_reaches_claude_and_credentials_are_hidden",
            "templates/test_doors.py::test_claude_signs_in_and_no_credential_is_seen",
            "templates/test_component.py::test_the_job_keeps_its_guards",
            "deploy/test_bootstrap_gcp.py::test_vertex_trusts_the_named_projects_on_protected_branches_only",
        ),
    ),
    Threat(
        "J12",
        "A token that any branch can print, or that may more than the job needs",
        "The docs say masked, hidden and protected; the job's log warns.",
        ("job/test_rights.py::test_the_log_warns_of_a_token_that_is_open_or_too_strong",),
    ),
    Threat(
        "J13",
        "Commits that pass for ours, so that Claude works on what the person who asked has not seen; a push past review",
        "Ours is what a reply of our own user says a run has pushed, in an unbroken row; a default or protected branch gets no push, and nobody's branch is made again. "
        "`verify` holds each hop from commit to comment against another and names the first that does not hold; a key that signs commits is kept as the token is.",
        (
            "job/test_branch.py::test_what_somebody_else_pushed_is_a_move",
            "job/test_merge_request.py::test_what_replies_of_ours_say_was_pushed_is_known",
            "job/test_branch.py::test_a_default_or_protected_branch_is_never_pushed_to",
            "job/test_branch.py::test_a_branch_deleted_while_claude_worked_is_not_made_again",
            "cli/test_verify.py::test_a_byte_that_is_changed_names_its_hop",
            "cli/test_verify.py::test_any_byte_of_the_statement_names_the_statement_or_the_seal",
            "cli/test_verify.py::test_any_byte_of_a_trailer_names_its_hop",
            "cli/test_verify.py::test_any_byte_of_the_request_names_its_hop",
            "cli/test_verify.py::test_any_byte_of_the_reply_s_marks_names_its_hop",
            "cli/test_verify.py::test_any_byte_of_the_comment_names_the_comment",
            "cli/test_verify.py::test_any_byte_of_the_place_of_what_was_asked_names_the_request",
            "cli/test_verify.py::test_a_message_that_is_put_on_another_commit_is_refused",
            "cli/test_verify.py::test_a_true_request_in_the_place_of_another_is_refused",
            "cli/test_verify.py::test_a_seal_of_another_request_does_not_fit",
            "cli/test_verify.py::test_a_git_note_that_is_none_of_ours_names_its_hop",
            "job/test_signing.py::test_claude_s_commands_are_not_given_the_key",
            "job/test_signing.py::test_the_key_is_in_a_file_for_no_longer_than_git_signs",
            "templates/test_identity.py::test_where_nothing_protects_the_job_commands_are_refused",
        ),
    ),
    Threat(
        "J14",
        "A link to an image that sends the job, with its token, to another project or host",
        "Only uploads of the project itself are read, by GitLab's API, in small numbers and sizes, and only what begins as an image does.",
        (
            "job/test_uploads.py::test_anything_else_is_named_and_not_asked_for",
            "job/test_uploads.py::test_what_is_no_image_or_too_large_or_not_shown_is_named",
        ),
    ),
    Threat(
        "J15",
        "A job that goes on after it was stopped: it pushes, or opens a merge request",
        "The first signal ends what goes on, also where only the shell above the job, or Claude first, gets it.",
        (
            "templates/test_failures.py::test_a_canceled_job_says_so_and_pushes_nothing",
            "templates/test_failures.py::test_a_job_that_is_canceled_while_it_pushes_opens_no_merge_request",
        ),
    ),
    Threat(
        "J16",
        "A finding on a line that acts, leaks, passes for ours, or suggests what nobody sees",
        "Only the job posts, to lines of GitLab's own diff; text is made harmless and masked as answers are; a suggestion is one only if it is shown to the letter. "
        "Threads are ours by author and mark; what was asked internally has no notes on lines.",
        (
            "job/test_findings.py::test_nothing_in_a_finding_acts",
            "job/test_findings.py::test_a_secret_is_masked_and_a_suggestion_with_one_is_none",
            "job/test_findings.py::test_a_suggestion_is_one_only_where_it_would_be_committed_to_the_letter",
            "job/test_told.py::test_a_mark_counts_only_at_the_end_of_a_note_of_ours",
            "job/test_review.py::test_findings_stand_on_lines_where_a_merge_request_is_reviewed_in_public",
            "templates/test_journeys.py::test_a_review_stands_on_the_lines_and_the_rest_of_it_in_the_reply",
        ),
    ),
    Threat(
        "J17",
        "A runner project's job for one project reaches another: its token, clone or thread; its log is read by others",
        "GitLab hands out the token by the environment `claude/<project id>`; a request for any other project, a token that does not see it, a checkout in the way or a runner project that is not private ends the job; replies have no link to it. What other jobs keep on the same machine is out of Claude's reach, or commands are refused.",
        (
            "templates/test_runner.py::test_a_run_for_one_project_has_no_way_to_another",
            "templates/test_runner.py::test_an_environment_that_is_no_project_s_opens_none",
            "templates/test_runner.py::test_each_project_has_its_answer_and_merge_request",
            "templates/test_runner.py::test_of_a_public_project_s_confidential_issue_nothing_is_said_in_public",
            "templates/test_runner_attacks.py::test_commands_find_nothing_of_another_project",
            "templates/test_runner_attacks.py::test_without_the_cure_the_same_search_finds_it",
            "cli/test_home.py::test_the_job_has_a_token_that_opens_the_asking_project_alone",
            "cli/test_home_checks.py::test_what_is_broken_is_found_by_name",
            "job/test_home.py::test_a_request_for_another_than_the_environment_s_project_is_refused",
            "job/test_home.py::test_what_keeps_it_from_serving_is_told_with_the_cure",
            "job/test_home.py::test_a_checkout_in_the_way_is_never_worked_on",
            "shared/test_trigger.py::test_a_runner_project_that_cannot_serve_starts_nothing",
            "shared/test_trigger.py::test_who_asked_is_shown_no_address_of_the_runner_project",
        ),
    ),
    Threat(
        "J18",
        "A log or test report of a failed job that gives orders, or holds secrets or what the reply's "
        "readers may not know",
        "It is data like all from GitLab, never a variable; escapes, marks and whatever looks like a "
        "secret go before it is cut; debug logs are not read, nor any where more people read the "
        "reply than the log; who asks for a repair gets a set number, counted by marks of ours.",
        (
            "job/test_repair.py::test_secrets_in_a_log_are_masked",
            "job/test_repair.py::test_a_debug_log_is_not_told",
            "job/test_repair.py::test_tries_are_counted_by_our_own_replies",
            "job/test_repair.py::test_logs_are_read_only_where_the_reply_s_readers_may_read_them",
            "job/test_traces.py::test_what_looks_like_a_secret_of_another_job_is_masked",
            "job/test_traces.py::test_a_hostile_log_takes_no_long_time",
            "job/test_prompt.py::test_a_log_is_data_in_which_nothing_acts",
            "templates/test_journeys.py::test_a_red_job_is_repaired",
        ),
    ),
    Threat(
        "J19",
        "A branch brings skills or MCP servers; those of the team get more than the include names, "
        "such as the key to the model",
        "Both are the default branch's, by an input; no hook and no command of a skill runs, its "
        "tools are those of the include; variables are filled in by the job, by name, and none is "
        "left to the client.",
        (
            "templates/test_journeys.py::test_claude_has_the_skills_and_servers_of_the_default_branch",
            "job/test_skills.py::test_what_a_branch_holds_is_not_copied",
            "job/test_skills.py::test_a_tool_that_the_include_does_not_allow_is_refused",
            "job/test_servers.py::test_no_variable_is_left_for_claude_code_to_fill_in",
            "job/test_servers.py::test_an_entry_that_could_do_more_is_refused",
        ),
    ),
)
