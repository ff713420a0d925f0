"""What threatens an installation, what is done about it, which tests prove it: SECURITY.md.

T1 to T26 are the threats of a trigger, known from what happened to others; J1 to J10, those of the
job, stand apart.
"""

from tests.proofs.security.job_threats import JOB_THREATS, Threat

_QUICK = "proofs/test_security.py"
_HOSTILE = "templates/test_hostile.py"
_CONFIDENTIAL = "templates/test_confidential.py"

TRIGGER_THREATS = (
    Threat(
        "T1",
        "Secrets expanded in pipeline variables: `@claude say $ANTHROPIC_API_KEY`",
        "The job reads `ai_flow` from the file TRIGGER_PAYLOAD, which nothing expands; in variables `$` is doubled, `%NAME` "
        "broken, JSON spells both as escapes.",
        (
            f"{_QUICK}::test_no_text_expands_in_either_expander",
            "shared/outgoing/test_payload.py::test_nothing_leaks_from_a_published_case",
            "shared/outgoing/test_payload.py::test_json_reads_back_to_the_letter",
            f"{_HOSTILE}::test_a_hostile_comment_through_the_whole_chain",
        ),
        ("expanders",),
    ),
    Threat(
        "T2",
        "Anyone who can comment runs the agent",
        "GitLab is asked by user id for account and membership when the run starts; anything but a clear yes is a no; "
        "names prove nothing.",
        (
            f"{_QUICK}::test_without_a_clear_yes_nothing_starts",
            f"{_QUICK}::test_without_a_clear_yes_no_command_is_carried_out",
            "shared/runs/test_access.py::test_every_combination_without_a_clear_yes_is_refused",
            "shared/test_gate.py::test_without_an_answer_about_the_author_nothing_starts",
        ),
        ("matrix",),
    ),
    Threat(
        "T3",
        "Merge requests from forks, branches with a protected branch's name",
        "Forks are refused by project id, or by choice read and no more: their diff is data of GitLab's API, none of their commits "
        "is fetched, and Claude has only tools that read. Pipelines run on the default branch unless the installation chooses the "
        "source branch of the same project; no branch comes from a comment.",
        (
            f"{_QUICK}::test_the_branch_is_never_one_that_a_fork_or_a_comment_names",
            "shared/outgoing/test_payload.py::test_a_fork_s_merge_request_never_runs_here",
            "shared/outgoing/test_payload.py::test_where_forks_are_read_the_default_branch_runs_and_only_our_job_is_told",
            "templates/test_forks.py::test_a_fork_s_merge_request_is_reviewed_and_none_of_its_code_is_fetched_or_obeyed",
            "job/test_forks.py::test_whatever_the_include_allows_a_run_that_reads_has_no_tool_server_skill_or_past",
            "job/test_branch.py::test_a_fork_is_not_read_where_the_trigger_does_not_say_so",
            "shared/outgoing/test_payload.py::test_only_a_branch_is_run_on",
        ),
        ("matrix",),
    ),
    Threat(
        "T4",
        "Configuration in the repository that is code: hooks, MCP servers, another API address",
        "Files that configure the agent are the target branch's while it works, and no settings of a repository are read.",
        (
            f"{_HOSTILE}::test_a_hostile_repository_configures_nothing",
            "job/test_workspace.py::test_files_that_configure_the_agent_are_the_target_s_while_claude_works",
        ),
    ),
    Threat(
        "T5",
        "Secrets that the agent can read",
        "Tokens leave the environment and the clone before it starts, and it cannot read the job's processes (J4); Bash is off "
        "unless commands are named; providers are reached by OIDC where they can be. What signs it in, and what the include names, it has.",
        (
            f"{_HOSTILE}::test_claude_s_commands_see_no_token",
            "job/test_claude.py::test_the_environment_is_chosen_name_by_name",
            "job/test_signin.py::test_the_identity_token_never_reaches_claude_and_credentials_are_hidden",
            "templates/test_component.py::test_the_job_keeps_its_guards",
        ),
    ),
    Threat(
        "T6",
        "Text that is changed after it was approved",
        "When the run starts GitLab is asked for the comment: its instruction must have the digest of the delivery's, title "
        "and description must too or are left out; comments edited since are not in the context.",
        (
            f"{_QUICK}::test_what_is_swapped_between_two_calls_is_not_what_runs",
            "shared/runs/test_confirm.py::test_a_comment_that_is_not_as_it_was_told_starts_nothing",
            "shared/runs/test_confirm.py::test_texts_that_were_swapped_since_are_not",
            "shared/test_work.py::test_a_long_text_that_changed_meanwhile_is_not_run",
            "shared/outgoing/test_context.py::test_what_was_edited_or_written_after_the_request_is_left_out",
            "shared/incoming/test_payloads.py::test_an_edited_comment_is_ignored",
        ),
        ("hints",),
    ),
    Threat(
        "T7",
        "Commits pushed after the request",
        "The context carries the commit the person saw; the job ends before Claude starts where the branch has moved on.",
        (
            "templates/test_failures.py::test_a_branch_that_moved_on_ends_the_run_before_claude_starts",
        ),
    ),
    Threat(
        "T8",
        "Hidden text: comments in HTML and diagrams, zero-width and tag characters, alt texts, excess "
        "cells of tables",
        "A mention counts only where a reader sees it; what no reader sees reaches no model.",
        (
            "shared/incoming/test_mention.py::test_a_case_of_the_field_is_decided_as_documented",
            "shared/markdown/test_visible.py::test_a_cell_beyond_the_header_is_not_seen",
            "shared/markdown/test_sanitize.py::test_comments_of_drawn_code_go_and_their_marks_stay",
            "shared/outgoing/test_context.py::test_nothing_hidden_gets_through",
            "shared/test_work.py::test_what_a_title_leaves_open_shows_nothing_hidden_and_hides_nothing",
            "job/test_prompt.py::test_in_data_nothing_acts_or_hides",
        ),
    ),
    Threat(
        "T9",
        "Texts that make a pattern run for minutes",
        "Scanners and possessive patterns only; time is linear in any text, and no more than a set amount is read.",
        (f"{_QUICK}::test_hostile_texts_take_linear_time",),
        ("families",),
    ),
    Threat(
        "T10",
        "Addresses in payloads and comments that redirect our tokens",
        "The one address is a setting; payloads' addresses, headers and redirects are never followed; comments have no "
        "option that names a host.",
        (
            f"{_QUICK}::test_hostile_addresses_reach_nobody_but_our_gitlab",
            "functions/gitlab/test_client.py::test_reading_is_never_unsure_and_follows_no_redirect",
        ),
        ("hosts",),
    ),
    Threat(
        "T11",
        "Quick actions (`/merge`) and closing words (`Closes #12`) in what we write",
        "Our replies are fixed words, ids and checked links; what Claude writes is defused line by line, names of branches "
        "too; in merge requests and commits no word closes an issue but our one line.",
        (
            "job/test_harmless.py::test_no_word_closes_an_issue_and_the_text_looks_the_same",
            "job/test_harmless.py::test_no_word_in_code_closes_an_issue_and_what_is_copied_is_the_same",
            "job/test_harmless.py::test_a_quote_that_ends_in_code_for_gitlab_does_not",
            "job/test_harmless.py::test_nothing_visible_changes",
            "job/test_merge_request.py::test_what_claude_says_closes_no_issue_but_the_one_asked_in",
            "job/test_reply.py::test_a_branch_s_name_in_a_failure_calls_nobody",
            "shared/outgoing/test_replies.py::test_no_reply_can_act_or_call",
            "job/test_harmless.py::test_no_answer_has_a_line_that_gitlab_runs",
            f"{_HOSTILE}::test_a_hostile_answer_is_only_text",
        ),
    ),
    Threat(
        "T12",
        "Bots that answer each other for ever",
        "Our own notes and merge requests are known by mark, notes by author too; bots are ignored unless named, and named "
        "ones are held by the limits per thread, person and day. No name in an answer is called, whatever stands before it.",
        (
            "job/test_harmless.py::test_no_mention_is_live_behind_any_character",
            "job/test_harmless.py::test_what_only_looks_like_code_or_text_does_nothing",
            "job/test_harmless.py::test_what_is_left_alone_is_code_for_the_trigger_s_own_reader",
            "job/test_merge_request.py::test_a_description_is_known_as_ours_whatever_it_says",
            f"{_QUICK}::test_bots_that_talk_for_ever_start_no_more_than_the_limits",
            "shared/test_gate.py::test_we_never_ask_ourselves",
            "job/test_harmless.py::test_outside_fences_nothing_is_live",
        ),
        ("loops",),
    ),
    Threat(
        "T13",
        "The time of a refusal tells how close a wrong secret came",
        "`hmac.compare_digest` over digests, every token compared; a Secret refuses `==`.",
        (
            f"{_QUICK}::test_the_time_of_a_refusal_tells_nothing",
            f"{_QUICK}::test_the_method_finds_a_comparison_that_tells",
            "shared/installation/test_secrets.py::test_a_secret_is_not_compared_hashed_or_serialised",
        ),
        ("timing",),
    ),
    Threat(
        "T14",
        "A delivery that is sent again by someone who recorded it",
        "A signature counts for 300 seconds; a comment has one claim, kept for 31 days, however often it is delivered.",
        (
            f"{_QUICK}::test_a_recorded_delivery_starts_one_run_however_often_it_is_sent",
            "shared/incoming/test_delivery.py::test_an_older_or_newer_signature_does_not",
        ),
    ),
    Threat(
        "T15",
        "Secrets in logs and errors",
        "A Secret shows itself only through `reveal()`; log lines hold ids and reasons; errors of clients lose their text. "
        "Every test's output is searched for five spellings of each token (tests/conftest.py).",
        (
            "support/test_canaries.py::test_a_test_that_prints_a_secret_fails",
            "support/test_canaries.py::test_a_secret_is_found_wherever_base64_puts_it",
            "functions/gitlab/test_client.py::test_an_error_holds_nothing_that_was_sent_or_said",
            "functions/gitlab/test_client.py::test_a_proxy_s_login_is_of_the_secrets_and_shows_nowhere",
        ),
    ),
    Threat(
        "T16",
        "The trigger token leaks through an address or a log",
        "It travels in the body of the one call that needs it.",
        (
            "functions/gitlab/test_pipelines.py::test_a_trigger_creates_a_pipeline_and_the_token_travels_in_the_body",
        ),
        ("hosts",),
    ),
    Threat(
        "T17",
        "Confidential comments answered in public: in a note, the job's log, a merge request, the next conversation",
        "The reply is as internal as the question, in the same discussion; what GitLab calls confidential when the run starts "
        "is, and its trigger holds ids only; SERVE_CONFIDENTIAL=false ignores them. One place "
        "decides what the job may say where: its log names steps only, nothing of it is cached, and in a project that is "
        "not private changes are an artifact for Developers. The job reads withheld requests with its own token.",
        (
            f"{_CONFIDENTIAL}::test_nothing_confidential_is_in_an_output_for_others",
            f"{_CONFIDENTIAL}::test_the_search_finds_what_is_said_in_public",
            f"{_CONFIDENTIAL}::test_what_the_include_lets_be_pushed_names_no_issue",
            f"{_CONFIDENTIAL}::test_a_failure_says_nothing_confidential_in_the_log",
            f"{_CONFIDENTIAL}::test_no_conversation_goes_on_between_public_and_internal",
            f"{_CONFIDENTIAL}::test_what_was_asked_internally_and_then_changed_is_not_run",
            f"{_CONFIDENTIAL}::test_what_the_trigger_hands_over_leaves_the_job_in_no_output_for_others",
            f"{_QUICK}::test_nothing_confidential_is_in_what_the_trigger_tells_others",
            "job/test_audience.py::test_each_output_has_its_readers",
            "job/test_withheld.py::test_what_is_not_what_was_asked_is_not_run",
            f"{_QUICK}::test_what_is_swapped_between_two_calls_is_not_what_runs",
            "shared/runs/test_confirm.py::test_what_is_internal_by_any_word_of_it_is_internal",
            "functions/gitlab/test_thread.py::test_a_reply_joins_the_discussion_and_its_confidentiality",
            "shared/test_receive.py::test_confidential_notes_can_be_switched_off",
            "shared/outgoing/test_context.py::test_internal_notes_are_for_internal_requests_only",
            f"{_HOSTILE}::test_a_change_asked_for_in_an_internal_note_says_nothing_in_public",
        ),
        ("hints", "readers"),
    ),
    Threat(
        "T18",
        "Floods, depth bombs, huge numbers and bodies on a public address",
        "Method, size and credentials are looked at before any secret, any secret before any parsing; reads of the secret "
        "store and log lines about what was refused are limited by time, not by deliveries. The local server looks at method "
        "and credentials before the body, and holds 64 connections at most, each request for 15 seconds at most.",
        (
            f"{_QUICK}::test_mutated_deliveries_are_answered_as_they_must",
            f"{_QUICK}::test_the_handlers_of_both_clouds_answer_them_the_same",
            f"{_QUICK}::test_requests_that_are_none_are_refused",
            f"{_QUICK}::test_a_flood_reads_no_secret_writes_nothing_and_is_told_once_a_second",
            "functions/test_wiring.py::test_what_is_refused_is_counted_and_told_once_a_second",
            "functions/local/test_server.py::test_without_credentials_a_body_is_not_read",
            "functions/local/test_server.py::test_a_request_that_does_not_end_is_cut_off",
            "functions/local/test_server.py::test_chunks_that_another_would_read_otherwise_are_refused",
            f"{_QUICK}::test_bombs_are_harmless",
        ),
        ("core", "clouds", "floods"),
    ),
    Threat(
        "T19",
        "Rights that ended between the comment and the run",
        "The author is looked up at every attempt, after the claim.",
        ("shared/test_gate.py::test_the_author_is_asked_for_at_every_attempt",),
    ),
    Threat(
        "T20",
        "The supply chain",
        "The core is the standard library; every dependency is locked with hashes; a bundle holds one cloud.",
        (
            f"{_QUICK}::test_every_locked_dependency_has_a_hash",
            "test_architecture.py::test_the_core_imports_the_standard_library_and_itself",
            "deploy/test_bundle.py::test_a_bundle_holds_one_cloud_and_nothing_that_does_not_run",
        ),
    ),
    Threat(
        "T21",
        "Names that are code: branches, paths, users",
        "Paths of API calls are made of ids; the job quotes every name and hands none over as an option.",
        (
            f"{_QUICK}::test_hostile_addresses_reach_nobody_but_our_gitlab",
            "job/test_workspace.py::test_a_branch_s_name_is_a_name",
            "job/test_workspace.py::test_a_branch_called_like_a_command_is_fetched_as_any_other",
        ),
        ("hosts",),
    ),
    Threat(
        "T22",
        "Who set up one project's webhook makes up deliveries for another project",
        "WEBHOOK_SECRETS binds tokens to projects by id, path or group; the id that is acted upon must be the token's, or GitLab "
        "must say that it is at the token's path. A lie leaves the true run as it was.",
        (
            "functions/test_bound_tokens.py::test_a_hand_made_note_for_another_project_starts_nothing",
            "functions/test_bound_tokens.py::test_who_may_set_one_webhook_starts_in_others_only_what_gitlab_itself_tells",
            "shared/test_receive.py::test_a_token_for_other_projects_starts_nothing_and_the_operator_sees_it",
            "shared/test_gate.py::test_a_path_that_was_a_lie_starts_nothing_and_leaves_the_run_to_the_true_one",
            "shared/installation/test_secrets.py::test_a_name_is_an_id_a_path_or_a_group",
        ),
    ),
    Threat(
        "T23",
        "Who holds a webhook's secret makes up a comment, its author, its text, its project or its branch",
        "A delivery is a hint: before anything starts GitLab must have that comment, by that author, with that instruction, "
        "not older than a day; project, branches, confidentiality and who opened an issue or merge request are GitLab's "
        "word. Who changed one is the delivery's: a webhook's secret for one project vouches for no other.",
        (
            f"{_QUICK}::test_a_delivery_of_what_gitlab_does_not_have_starts_nothing",
            "shared/runs/test_confirm.py::test_a_comment_that_is_not_as_it_was_told_starts_nothing",
            "shared/runs/test_confirm.py::test_what_is_not_there_is_looked_for_again_for_a_minute",
            "shared/runs/test_confirm.py::test_branch_path_and_fork_are_gitlab_s_word",
            "shared/runs/test_confirm.py::test_who_was_assigned_or_labelled_must_still_be",
            "shared/runs/test_confirm.py::test_who_opened_something_is_gitlab_s_word",
            "shared/test_sweep.py::test_a_failed_delivery_about_another_project_is_not_believed",
            "shared/test_gate.py::test_a_project_that_is_not_shown_to_us_starts_nothing_and_is_told_to_the_operator",
        ),
        ("hints",),
    ),
    Threat(
        "T24",
        "Somebody uses up the runs of others: a person, a thread or a project shuts the installation, or floods a thread with "
        "refusals so that `stop` is not heard",
        "Runs are limited per person, thread, project and day, each counted when it was asked; what is over a limit waits; "
        "refusals are counted per author and apart from commands; `stop` is free; who is no member costs GitLab nothing for "
        "ten minutes.",
        (
            "shared/runs/test_limits.py::test_people_threads_and_projects_have_limits_of_their_own",
            "shared/runs/test_limits.py::test_no_window_holds_more_than_its_limit_wherever_it_begins",
            "shared/runs/test_limits.py::test_who_is_refused_takes_no_room",
            "shared/test_gate.py::test_a_stranger_costs_gitlab_nothing_for_ten_minutes",
            "shared/test_leftovers.py::test_after_an_outage_every_comment_is_run_or_told",
        ),
    ),
    Threat(
        "T25",
        "Tokens of GitLab's that live longer than they should, or end unseen",
        "`make setup` makes the bot's token for a year at most and replaces one that has ended; `make doctor` names tokens that "
        "end within 14 days, and the sweep warns of the API token's end once a day; secrets are read anew every five minutes, and at once when GitLab refuses one.",
        (
            "cli/test_bot.py::test_a_bot_whose_token_has_expired_is_replaced_everywhere",
            "functions/gitlab/test_client.py::test_an_api_token_rotated_in_the_store_is_read_on_the_first_401",
            "shared/test_sweep.py::test_a_token_that_expires_soon_is_warned_of_once_a_day",
        ),
    ),
    Threat(
        "T26",
        "Money is spent beyond a budget: by many who ask at once, by a forged figure, by a job that is killed or started again; "
        "or a budget stays shut for runs that died",
        "A run's maximum is held before its pipeline starts, by compare-and-set, so that many at once pass no budget. What it "
        "cost is read from the end of the bot's own reply, which no Developer can edit, and counts from 0 to twice the maximum; "
        "what is not known, or said by a branch's own job, counts as the maximum.",
        (
            "proofs/test_faults.py::test_budgets_hold_however_many_ask_and_wherever_they_die",
            "shared/runs/test_budgets.py::test_only_the_job_s_last_word_tells_what_it_cost",
            "shared/runs/test_budgets.py::test_the_job_of_a_merge_request_s_own_branch_is_not_believed",
            "shared/runs/test_budgets.py::test_what_is_not_known_counts_as_the_maximum",
            "shared/runs/test_budgets.py::test_a_job_started_again_by_hand_holds_and_costs_again",
            "shared/runs/test_budgets.py::test_nothing_is_held_for_ever",
            "shared/test_thread_commands.py::test_a_stranger_hears_of_no_budget",
        ),
    ),
    Threat(
        "T27",
        "Runs that nobody asked for: by a fork, by who may not ask, without end by our own pushes, or as a merge request's own file would have it",
        "Nothing starts by itself unless AUTO says so; the project's file is read on the default branch and can only narrow, one that "
        "cannot be read starts nothing. Who opens or pushes passes the gate of who asks; forks start nothing unless they may be read, and never a repair; GitLab must have the "
        "commit as the head of an open merge request that is no draft; a commit has one run, a merge request a bounded number, "
        "whoever pushes. Of a failed pipeline the delivery is a hint at its id alone: GitLab tells who started it, whose it is and "
        "that it failed; one that a trigger started, or that failed by Claude's job, starts nothing.",
        (
            "shared/test_policy.py::test_a_stream_starts_exactly_what_the_policy_says_however_often_it_is_delivered",
            "shared/test_policy.py::test_a_file_of_the_source_branch_is_never_read",
            "shared/test_policy.py::test_a_fork_s_merge_request_starts_nothing_by_itself",
            "shared/test_policy.py::test_where_forks_are_read_who_may_ask_starts_a_review_of_one_by_opening_it",
            "shared/test_policy.py::test_who_may_not_ask_starts_nothing_by_what_they_do_and_hears_nothing",
            "shared/test_policy.py::test_a_loop_of_our_own_pushes_ends_after_as_many_runs_as_the_policy_allows",
            "shared/test_policy.py::test_an_event_of_a_commit_that_is_not_the_head_any_more_starts_nothing",
            "shared/test_policy.py::test_a_stream_of_pipelines_starts_exactly_the_repairs_that_the_policy_says",
            "shared/test_policy.py::test_a_loop_of_repairs_ends_and_no_commit_of_its_own_cancels_one",
            "shared/test_repair.py::test_a_delivery_that_invents_a_failure_starts_nothing",
            "shared/test_repair.py::test_who_started_the_pipeline_is_who_asks_whatever_the_delivery_says",
            "shared/installation/test_auto.py::test_a_file_only_ever_narrows",
            "shared/installation/test_auto.py::test_no_pattern_takes_long",
        ),
    ),
)

THREATS = (*TRIGGER_THREATS, *JOB_THREATS)
TESTS = tuple(dict.fromkeys(test for threat in THREATS for test in threat.tests))
