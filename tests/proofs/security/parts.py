"""The parts of `make security`: each runs one proof, returns a row: figures, bar met or not.

`share` divides the great numbers: 1 for the whole of them.
"""

import time
from collections.abc import Callable, Iterator

from tests.proofs.rows import Row
from tests.proofs.security import (
    clouds,
    expanders,
    families,
    floods,
    fuzz,
    hints,
    hosts,
    loops,
    matrix,
    mutants_of,
    readers,
    timing,
)
from tests.proofs.security.fuzz import Tally


def _fuzzed(test: str, tally: Tally) -> Row:
    bar = "0 exceptions, 0 answers 5xx; unsigned 401, signed 2xx (other methods 405, too large 413)"
    speed = f", {tally.total / tally.seconds:,.0f} a second" if tally.seconds else ""
    brief = f"{tally.total:,} deliveries, {tally.exceptions} exceptions, {tally.server_errors} 5xx, {tally.wrong} wrong"
    return Row(test, bar, f"{tally}{speed}", tally.met, brief, tuple(tally.stories))


def core(share: int) -> Iterator[Row]:
    yield _fuzzed(
        f"{10_000_000 // share:,} mutated deliveries through `receive`",
        fuzz.run(10_000_000 // share),
    )


def each_cloud(share: int) -> Iterator[Row]:
    for cloud in clouds.CLOUDS:
        tally = fuzz.run(200_000 // share, clouds.FRONTS[cloud], now=time.time())
        odd = fuzz.apart(clouds.odd, cloud)
        row = _fuzzed(
            f"{200_000 // share:,} of them through the handler of {cloud.upper()}, and requests that are none",
            tally,
        )
        yield row._replace(met=row.met and not odd, stories=(*row.stories, *odd))


def whole_matrix(share: int) -> Iterator[Row]:
    seen = matrix.run(share)
    figures = f"{seen.cells:,} cells, {seen.allowed:,} of them a clear yes with one pipeline each; **{len(seen.wrong)} otherwise**"
    yield Row(
        "role × account × membership × place × GitLab's answers, through `dispatch`",
        "no cell without a clear yes starts a pipeline",
        figures,
        not seen.wrong,
        f"{seen.cells:,} cells, {len(seen.wrong)} wrong",
        seen.wrong[:5],
    )


def all_hosts(share: int) -> Iterator[Row]:
    seen = hosts.run(10_000 // share)
    figures = (
        f"{seen.journeys:,} journeys, {seen.requests:,} requests, {seen.pipelines:,} pipelines; called: "
        f"**{', '.join(seen.hosts)}**; {len(seen.wrong)} unexpected paths"
    )
    met = seen.hosts == ("the configured one",) and not seen.wrong
    yield Row(
        f"{seen.journeys:,} signed payloads full of hostile addresses, with python-gitlab and watched sockets",
        "hosts contacted: the configured one; paths hold expected ids only",
        figures,
        met,
        f"{seen.requests:,} requests, {len(seen.hosts)} host",
        seen.wrong,
    )


def told(_: int) -> Iterator[Row]:
    seen = hints.forged()
    yield Row(
        "deliveries, rightly signed, of what GitLab does not have: comment, author, text, project, branch, age",
        "no pipeline, and the reason in the log; a true one beside them runs on GitLab's own branch",
        f"{seen.deliveries} deliveries, {seen.true} of them true; **{seen.pipelines} pipelines of the others**, "
        f"{len(seen.wrong)} that ended otherwise",
        not seen.pipelines and not seen.wrong,
        f"{seen.deliveries - seen.true} forged, {seen.pipelines} pipelines",
        seen.wrong,
    )
    swaps = hints.swapped()
    ends = ", ".join(f"{count} {end}" for end, count in sorted(swaps.ends.items()))
    yield Row(
        "comment, title, description, branch, confidentiality, author, membership swapped in GitLab before each call of a run",
        "the run does what was approved or ends with a named reason; the swapped text is never sent",
        f"{swaps.runs} runs: {ends}; **{len(swaps.wrong)} otherwise**",
        not swaps.wrong,
        f"{swaps.runs} swaps, {len(swaps.wrong)} wrong",
        swaps.wrong,
    )


def asked_internally(_: int) -> Iterator[Row]:
    seen = readers.run(list(readers.rows()))
    yield Row(
        "project's visibility × confidential issue × internal comment × change in between × hook, sweep, replay × provider, up to the trigger call",
        "no confidential word in trigger call, log, replies and answers to commands in public, which name no internal run",
        f"{seen.rows} rows, {seen.started} pipelines; **{len(seen.wrong)} leaks or other ends**",
        not seen.wrong,
        f"{seen.rows} rows, {len(seen.wrong)} leaks",
        seen.wrong,
    )


def both_expanders(share: int) -> Iterator[Row]:
    seen = expanders.run(1_000_000 // share, 40_000 // share)
    figures = (
        f"{seen.texts:,} texts of up to {seen.longest:,} characters, and {seen.journeys:,} through `receive` and `dispatch`; "
        f"{seen.raw_leaks:,} of them leak when sent as they are: **{len(seen.wrong)} leak or change made safe**"
    )
    yield Row(
        "hostile texts through a model of GitLab's and the runner's expansion",
        "0 expansions, JSON unchanged, `ai_flow` unchanged, each variable at most 96 KiB",
        figures,
        not seen.wrong,
        f"{seen.texts + seen.journeys:,} texts, {len(seen.wrong)} expansions",
        seen.wrong,
    )


def loop(_: int) -> Iterator[Row]:
    apart, allowed = loops.run(1000, allowed=False), loops.run(1000, allowed=True)
    told = [
        ", ".join(f"{name} {count}" for name, count in sorted(seen.runs.items()))
        for seen in (apart, allowed)
    ]
    wrong = (*apart.wrong, *allowed.wrong)
    yield Row(
        "two bots that mention each other and us, our bot that answers both, 1,000 rounds",
        "runs: at most one for a person's note, and within the limits",
        f"{apart.human_notes} notes of a person; runs: {told[0]}; with all three bots in ALLOWED_BOTS: {told[1]}; "
        f"**{len(wrong)} beyond a limit**",
        not wrong,
        f"1,000 rounds, {len(wrong)} runs too many",
        wrong,
    )


def times(share: int) -> Iterator[Row]:
    token, signature = (
        timing.measure(1_000_000 // share, each)
        for each in (timing.by_token(), timing.by_signature())
    )
    leak = timing.measure(100_000, timing.by_token("s" * 4000), timing.leaky)
    worst = max(token.worst, signature.worst)
    each = ", ".join(f"{name} {value:+.2f}" for name, value in token.t.items())
    yield Row(
        "the time of a refusal: first byte, last byte, length of a secret token; first and last byte of a signature",
        f"Welch's |t| < {timing.LEAK} at {token.samples:,} samples a class",
        f"token: {each}; signature: {signature.worst:.2f}; **worst {worst:.2f}** (a comparison with `==`: {leak.worst:.0f})",
        worst < timing.LEAK < leak.worst,
        f"|t| ≤ {worst:.2f}",
    )


def texts(_: int) -> Iterator[Row]:
    seen = families.run()
    slowest, steepest = (
        max(seen, key=lambda each: each.milliseconds),
        max(seen, key=lambda each: each.growth),
    )
    wrong = tuple(
        f"{each.name}: {each.milliseconds:.0f} ms, × {each.growth:.2f}, {each.status}"
        for each in seen
        if not each.met
    )
    yield Row(
        "21 hostile families of 1,000,000 characters, behind and before a mention, through `receive`, signed",
        f"each at most {families.LONGEST:.0f} ms of processor time; twice the text at most {families.GROWTH} times as long",
        f"{len(seen)} texts: **longest {slowest.milliseconds:.0f} ms** ({slowest.name}), "
        f"steepest × {steepest.growth:.2f} ({steepest.name}); {len(wrong)} beyond the bar",
        not wrong,
        f"longest {slowest.milliseconds:.0f} ms",
        wrong,
    )


def flood(share: int) -> Iterator[Row]:
    plain, forged = floods.both(1_000_000 // share)
    bad = tuple(
        f"{name}: {unsigned}, {signed}"
        for name, (unsigned, signed) in floods.bombs().items()
        if unsigned != 401 or signed > 299
    )
    yield Row(
        f"{plain.deliveries:,} unsigned deliveries and as many with a forged signature at 1,000 a second; depth bombs, huge numbers, 25 MiB",
        "no read of the secret store beyond the cache's age, no write to the queue, a log line a second; bombs 401 unsigned, 2xx signed",
        f"unsigned: **{plain.reads} reads, {plain.writes} writes**; forged: **{forged.reads} reads** of at most {forged.allowed} "
        f"in {forged.seconds:,.0f} s, **{forged.writes} writes**; {plain.lines} and {forged.lines} log lines; "
        f"{len(bad)} bombs answered otherwise",
        plain.met and forged.met and not bad,
        f"{plain.deliveries + forged.deliveries:,} deliveries, {plain.reads + forged.reads} reads, {plain.writes + forged.writes} writes, "
        f"{plain.lines + forged.lines} log lines",
        bad,
    )


def mutation(_: int) -> Iterator[Row]:
    for seen in mutants_of.run():
        yield Row(
            f"mutants of `shared/{seen.module.replace('.', '/')}.py`",
            f"at least {mutants_of.BAR:.0%} of those that change anything are noticed by its tests",
            f"{seen.mutants} mutants, {len(seen.equivalent)} equivalent, **{seen.killed} killed: {seen.score:.1%}**",
            seen.score >= mutants_of.BAR,
            f"{seen.score:.1%}",
            tuple(f"lives: {each}" for each in seen.alive),
        )


PARTS: dict[str, Callable[[int], Iterator[Row]]] = {
    "core": core,
    "clouds": each_cloud,
    "matrix": whole_matrix,
    "hosts": all_hosts,
    "hints": told,
    "readers": asked_internally,
    "expanders": both_expanders,
    "loops": loop,
    "timing": times,
    "families": texts,
    "floods": flood,
    "mutation": mutation,
}
