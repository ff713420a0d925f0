"""The parts of `make faults`: each runs one proof and returns a row: figures, bar met or not."""

from collections.abc import Callable, Iterator

from tests.proofs.faults import (
    crowd,
    kills,
    load,
    machine,
    many,
    money,
    outage,
    over_http,
    refusing_queue,
    schedules,
    stalls,
)
from tests.proofs.faults.catalogue import POINTS, STEPS
from tests.proofs.faults.schedules import SEED, Tally
from tests.proofs.rows import Row

P99, LONGEST, ANSWER = 50.0, 1000.0, 3.0  # milliseconds, milliseconds, seconds
IDLE = 1000  # GitLab calls a day
FLAT = 1.05  # last third of the memory samples against the first


def _tally(test: str, tally: Tally, more: str = "") -> Row:
    ends = ", ".join(f"{count:,} {word}" for word, count in sorted(tally.ends.items()))
    figures = f"{tally.journeys:,} runs, {tally.faults:,} faults met{more}: **{tally.lost} lost, {tally.doubled} doubled, {tally.untold} untold**; {ends}"
    if others := tally.wrong.total() - tally.lost - tally.doubled - tally.untold:
        figures += f"; {others} otherwise wrong"
    if tally.unheard:
        figures += f"; {tally.unheard:,} dead letters in the queue of these only, whose last worker was killed: the alarm tells"
    if tally.twice:
        figures += (
            f"; {tally.twice} replies written twice because GitLab finished one long after the call"
        )
    stories = tuple(
        f"{what} ({scene}): {'; '.join(story)}" for what, scene, story in tally.stories[:8]
    )
    return Row(
        test,
        "0 lost, 0 doubled, 0 untold, each ends in triggered / told / answered / followed / dead letter",
        figures,
        not tally.wrong,
        stories=stories,
    )


def singles() -> Iterator[Row]:
    tally = schedules.run("singles")
    whole = len(tally.met) == len(POINTS)
    more = f" ({len(tally.met)} of {len(POINTS)} kinds: {len(STEPS)} steps)"
    yield _tally("every step × every fault, alone", tally, more)._replace(
        met=whole and not tally.wrong
    )


def wired() -> Iterator[Row]:
    yield _tally("the same over HTTP with python-gitlab, GitLab's calls", over_http.run())


def pairs() -> Iterator[Row]:
    yield _tally("every pair of them", schedules.run("pairs"))


def random_schedules() -> Iterator[Row]:
    test = f"20,000 random schedules of up to {schedules.MOST} faults (seed {SEED})"
    yield _tally(test, schedules.run("random", 20_000))


def crowded() -> Iterator[Row]:
    seen = crowd.run()
    yield Row(
        "10,000 mentions as 100,000 deliveries: duplicated, shuffled, two hooks, queue redelivery, 8 workers at once",
        "exactly 10,000 pipelines",
        f"{seen.deliveries:,} deliveries, {seen.stored:,} answered 202, {seen.redelivered:,} redelivered by the queue: "
        f"**{seen.pipelines:,} pipelines, {seen.lost} lost, {seen.doubled} doubled** in {seen.seconds:.0f} s",
        (seen.pipelines, seen.lost, seen.doubled) == (seen.mentions, 0, 0),
    )


def outages() -> Iterator[Row]:
    seen = outage.run()
    yield Row(
        "hook disabled and URL down for a simulated day with 500 mentions",
        "500 pipelines, found by one sweep",
        f"{seen.mentions} mentions among {seen.mentions + seen.other_comments:,} comments, "
        f"{seen.failed_deliveries} failed deliveries, then the hook was off: **{seen.pipelines} pipelines**, found by "
        f"one sweep, {seen.found_again} by the next, started fifty at once and then ten a minute; {seen.alarms} alarms about the hook",
        (seen.pipelines, seen.found_again) == (seen.mentions, 0) and seen.alarms > 0,
    )


def swept() -> Iterator[Row]:
    seen, idle = many.run(), many.run(number=100, active=0, days=2).calls_a_day
    yield Row(
        "the sweep alone, 10,000 projects, 1,000 of them active a day, 0.1 s a call, three simulated days",
        "0 lost, 0 starved, 0 sweeps over 100 s; idle under 1,000 calls a day for 100 projects",
        f"{seen.mentions} mentions without a delivery: **{seen.lost} lost**, half of them found after {seen.after:.0f} s, all after "
        f"{seen.latest:.0f} s, and {seen.unlisted / 3600:.0f} h where GitLab's list kept silent; oldest unseen {seen.oldest / 3600:.1f} h, "
        f"**{seen.starved} starved**; first round over after {seen.first_round / 3600:.1f} h; longest sweep {seen.longest:.0f} s, "
        f"{seen.killed} killed; {seen.calls_a_day:,} calls a day, {idle} for 100 idle projects",
        (seen.lost, seen.starved, seen.killed) == (0, 0, 0) and idle < IDLE,
    )


def refusing() -> Iterator[Row]:
    seen = refusing_queue.run()
    yield Row(
        "queue failing: errors of seven kinds, file locked, disk full",
        "2xx count = stored count, always",
        f"{seen.deliveries:,} deliveries: **{seen.answered_202:,} answered 202, {seen.stored:,} stored**, "
        f"{seen.statuses.get(503, 0):,} answered 503, {seen.false_202} of the 202 not stored",
        seen.answered_202 == seen.stored
        and not seen.false_202
        and set(seen.statuses) == {202, 503},
    )


def stateful() -> Iterator[Row]:
    examples, steps = 2500, 50
    machine.run(examples, steps)
    yield Row(
        "Hypothesis: deliveries, attempts, faults, kills, time and replays in any order",
        "no order found that loses or doubles",
        f"{examples} examples of up to {steps} steps: **none found**",
        met=True,
    )


def killed() -> Iterator[Row]:
    seen = kills.run()
    whole = (seen.lost, seen.doubled, seen.replies_twice, seen.dead_letters, seen.leaks) == (
        0,
        0,
        0,
        0,
        0,
    )
    yield Row(
        "`kill -9` of the local platform at random moments, 200 times under load",
        "0 lost, 0 doubled",
        f"{seen.kills} kills in {seen.seconds:.0f} s, {seen.sent:,} comments sent, {seen.stored:,} answered 202, "
        f"{seen.pipelines:,} pipelines: **{seen.lost} lost, {seen.doubled} doubled**, {seen.replies_twice} replies twice, "
        f"{seen.untold} untold, {seen.dead_letters} dead letters",
        whole,
    )


def loaded() -> Iterator[Row]:
    seen = load.run()
    whole = (
        seen.p99 <= P99
        and seen.longest <= LONGEST
        and not seen.errors
        and seen.pipelines == seen.mentions
    )
    first, last = seen.memory_first / 2**20, seen.memory_last / 2**20
    yield Row(
        "local platform, 200 deliveries/s for 60 s over HTTP, 1 % mentions",
        "p99 ≤ 50 ms, nothing above 1 s, memory flat",
        f"{seen.deliveries:,} deliveries, {seen.errors} errors: p50 {seen.p50:.1f} ms, **p99 {seen.p99:.1f} ms, longest "
        f"{seen.longest:.0f} ms** from the planned moment on (p99 of the sender's own delay in that: {seen.late:.1f} ms); memory {first:.1f} MiB in the first third, {last:.1f} in "
        f"the last; {seen.pipelines} pipelines for {seen.mentions} mentions",
        whole and last <= first * FLAT,
    )


def stalled() -> Iterator[Row]:
    seen = stalls.run()
    longest = max(each.longest for each in seen)
    each = "; ".join(f"{one.what}: {one.statuses}, {one.longest:.2f} s" for one in seen)
    yield Row(
        "every dependency stalled, local platform, 20 deliveries at once (all three platforms: tests/functions/test_platforms.py)",
        "every answer ≤ 3 s",
        f"**longest {longest:.2f} s** ({each})",
        longest <= ANSWER,
    )


def spent() -> Iterator[Row]:
    seen, died = money.crowd(), money.deaths()
    whole = (seen.passed, seen.wrong, seen.left) == (0, 0, 0)
    yield Row(
        "10,000 runs ask for money at once, 8 workers: settled, unknown, given back, dead; a run that dies at each change of the store",
        "no budget passed, sums to the letter, nothing held for ever, no cost forgotten",
        f"{seen.asked:,} asked, {seen.started:,} started, {seen.refused:,} refused; {seen.looks:,} looks: **{seen.passed} beyond a cap, "
        f"{seen.wrong} sums wrong, {seen.left} left held** in {seen.seconds:.0f} s; {died.journeys} deaths, come again or forgotten: "
        f"**{died.held} held for ever, {died.under} spent less than they cost, {died.over} more than they may, {died.doubled} lost or doubled**",
        whole and died[1:] == (0, 0, 0, 0),
    )


PARTS: dict[str, Callable[[], Iterator[Row]]] = {
    "singles": singles,
    "http": wired,
    "pairs": pairs,
    "random": random_schedules,
    "crowd": crowded,
    "outage": outages,
    "sweep": swept,
    "queue": refusing,
    "machine": stateful,
    "kills": killed,
    "load": loaded,
    "stalls": stalled,
    "money": spent,
}
