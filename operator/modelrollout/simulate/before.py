"""What stable did before a rollout, out of simulated or recorded counters: the operator's look back at them."""

from modelrollout.decide.lookback import History
from modelrollout.decide.past import Counters
from modelrollout.domain.metrics import LATENCY, Source
from modelrollout.domain.polls import REQUESTS, Poll


def history_of(poll: Poll, stable: str, source: Source) -> History:
    """Of the samples that this poll reaches back to. A gateway's tell nothing of single pods."""
    requests, latency = (
        tuple(series for series in answer if series.revision == stable) if isinstance(answer, tuple) else ()
        for answer in (poll.answers.get(REQUESTS), poll.answers.get(LATENCY))
    )
    errors = Counters(total=requests, bad=tuple(series for series in requests if series.bad))
    seen = {REQUESTS: errors, LATENCY: Counters(buckets=latency)}
    return History(end=poll.at, compared=seen, servers=seen if source is Source.SERVER else {})
