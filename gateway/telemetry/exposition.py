"""The text of ``/metrics``, in the format of Prometheus, for one process and for several.

Each worker writes its own text, and the process that watches them joins the texts: every line gets the label
``worker``. prometheus-client's mode for several processes was not taken: it needs files that processes map into memory
(two to three times the cost of each change), has no metrics of the processes themselves, and adds gauges of dead ones.

https://prometheus.io/docs/instrumenting/exposition_formats/
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from prometheus_client import CollectorRegistry, GCCollector, ProcessCollector, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from .catalog import WORKER_UP
from .measurements import Measurements
from .metric import Family

DOWN = f"""# HELP {WORKER_UP.name} {WORKER_UP.help}
# TYPE {WORKER_UP.name} gauge
{WORKER_UP.name} 0.0
"""
"""What is known of a process that does not answer."""
_HEAD = "# HELP "


class _Own(Collector):
    """Collects the gateway's own metrics."""

    def __init__(self, measurements: Measurements) -> None:
        self._measurements = measurements

    def collect(self) -> Iterator[Metric]:
        """Yield each metric that has values."""
        for family in self._measurements.read():
            collected = _collected(family)
            if collected.samples:
                yield collected


def _collected(family: Family) -> Metric:
    metric = family.metric
    if metric.kind == "histogram":
        histogram = HistogramMetricFamily(metric.name, metric.help, labels=metric.labels)
        for labels, cell in family.distributions():
            histogram.add_metric(labels, cell.cumulative(), cell.total)
        return histogram
    kind = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
    values = kind(metric.name, metric.help, labels=metric.labels)
    for labels, value in family.values():
        values.add_metric(labels, value.value)
    return values


def render(measurements: Measurements, *, of_process: bool = True) -> str:
    """Return metrics as text; ``of_process``: with those of this process and its garbage collector."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Own(measurements))
    if of_process:
        ProcessCollector(registry=registry)
        GCCollector(registry=registry)
    return generate_latest(registry).decode()


def join(texts: Mapping[str, str]) -> str:
    """Return the texts of several processes as one: worker → its text; each line names its worker."""
    families: dict[str, list[str]] = {}
    for worker, text in texts.items():
        label = f'worker="{worker}"'
        for head, lines in _families_of(text):
            family = families.setdefault(head[0], list(head))
            family.extend(_labelled(line, label) for line in lines)
    return "".join(f"{line}\n" for lines in families.values() for line in lines)


def _families_of(text: str) -> Iterator[tuple[list[str], list[str]]]:
    """Yield the head of each metric (HELP, TYPE) and its lines."""
    head: list[str] = []
    lines: list[str] = []
    for line in text.splitlines():
        if line.startswith(_HEAD):
            if head:
                yield head, lines
            head, lines = [line], []
        elif line.startswith("#"):
            head.append(line)
        else:
            lines.append(line)
    if head:
        yield head, lines


def _labelled(line: str, label: str) -> str:
    """``a{b="c"} 1`` → ``a{worker="0",b="c"} 1``, ``a 1`` → ``a{worker="0"} 1``."""
    name, brace, rest = line.partition("{")
    if brace and " " not in name:
        return f"{name}{{{label},{rest}"
    name, _, value = line.partition(" ")
    return f"{name}{{{label}}} {value}"


class Samples:
    """What texts of metrics say, by the names of samples."""

    def __init__(self, samples: Mapping[str, Sequence[tuple[Mapping[str, str], float]]]) -> None:
        self._samples = samples

    def of(self, name: str) -> Sequence[tuple[Mapping[str, str], float]]:
        """Return the labels and values of a name."""
        return self._samples.get(name, ())

    def sum(self, name: str, **labels: str) -> float:
        """Return the sum of the samples with these labels."""
        return sum(value for found, value in self.of(name) if labels.items() <= found.items())

    def largest(self, name: str) -> float:
        """Return the largest value; 0 if there is none."""
        return max((value for _, value in self.of(name)), default=0.0)


def read_samples(texts: Iterable[str]) -> Samples:
    """Return what texts of metrics say. Raises ValueError if one is something else."""
    # Those who serve need it not, and it takes 10 ms to import.
    from prometheus_client.parser import text_string_to_metric_families  # noqa: PLC0415 - see above

    samples: dict[str, list[tuple[Mapping[str, str], float]]] = {}
    for text in texts:
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                samples.setdefault(sample.name, []).append((sample.labels, sample.value))
    return Samples(samples)
