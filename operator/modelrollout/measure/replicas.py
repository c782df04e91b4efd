"""Series that an HA pair scraped twice: one twin is read for each target, or every request would count double. Pure."""

from collections import defaultdict
from collections.abc import Mapping

from modelrollout.domain.polls import ProviderFault, Series

Answers = Mapping[str, tuple[Series, ...] | ProviderFault]


def one_replica(answers: Answers, label: str) -> Answers:
    """The answers with the series of one twin per target; series without the label are nobody's twin and stay.

    The first by name is read as long as it has what the other has, but for one sample per series: the twins scrape at
    different moments. So the choice changes only where one missed scrapes, and all series of a target follow it.
    """
    chosen = _chosen(answers, label)
    if not chosen:
        return answers
    return {
        name: answer
        if isinstance(answer, ProviderFault)
        else tuple(each for each in answer if _replica(each, label) in ("", chosen.get(each.target, "")))
        for name, answer in answers.items()
    }


def _chosen(answers: Answers, label: str) -> dict[str, str]:
    samples: defaultdict[str, defaultdict[str, int]] = defaultdict(lambda: defaultdict(int))
    series: defaultdict[tuple[str, str], int] = defaultdict(int)
    for answer in answers.values():
        for each in () if isinstance(answer, ProviderFault) else answer:
            if replica := _replica(each, label):
                samples[each.target][replica] += len(each.samples)
                series[each.target, replica] += 1
    chosen = {}
    for target, counted in samples.items():
        best = max(counted, key=lambda replica: counted[replica])
        enough = counted[best] - series[target, best]
        chosen[target] = min(replica for replica, count in counted.items() if count >= enough)
    return chosen


def _replica(series: Series, label: str) -> str:
    return next((value for name, value in series.labels if name == label), "")
