"""The columns of environments.csv."""

from collections.abc import Iterator, Sequence

from lrbench.results.columns.column import FLAG, TEXT, WHOLE, Column, Table
from lrbench.results.environment import Environment
from lrbench.results.records import Record


def _environments(records: Sequence[Record]) -> Iterator[Environment]:
    return (record for record in records if isinstance(record, Environment))


_VERSION = "versions"

ENVIRONMENTS = Table[Environment](
    meaning="a row for each machine and set of versions",
    note="A cell is empty where an older lrbench did not record it, and `unknown` where the system does not report it.",
    rows=_environments,
    columns=(
        Column("environment", TEXT, lambda row: row.key, "key: a digest of the other columns"),
        Column("machine", TEXT, lambda row: row.machine, "architecture of the processor"),
        Column("processor", TEXT, lambda row: row.processor, "name of the processor"),
        Column("cpu_capability", TEXT, lambda row: row.cpu_capability, "vector instructions that torch uses"),
        Column("cpus", WHOLE, lambda row: row.cpus, "logical CPUs available to the process"),
        Column("memory_bytes", WHOLE, lambda row: row.memory_bytes, "memory of the machine"),
        Column("gpu", TEXT, lambda row: row.gpu, "name of the GPU"),
        Column("system", TEXT, lambda row: row.system, "operating system"),
        Column("python", TEXT, lambda row: row.python, _VERSION),
        Column("torch", TEXT, lambda row: row.torch, _VERSION),
        Column("torchvision", TEXT, lambda row: row.torchvision, _VERSION),
        Column("fvcore", TEXT, lambda row: row.fvcore, _VERSION),
        Column("cuda", TEXT, lambda row: row.cuda, _VERSION),
        Column("mkldnn", FLAG, lambda row: row.mkldnn, "whether torch has oneDNN (formerly MKL-DNN)"),
        Column("blas", TEXT, lambda row: row.blas, "BLAS library of torch"),
        Column("isa", TEXT, lambda row: row.isa, "vector extensions of the processor"),
        Column("governor", TEXT, lambda row: row.governor, "CPU frequency governor"),
        Column("cgroup_cpus", TEXT, lambda row: row.cgroup_cpus, "limits of the container"),
        Column("cgroup_memory_bytes", TEXT, lambda row: row.cgroup_memory_bytes, "limits of the container"),
        Column("onednn", TEXT, lambda row: row.onednn, _VERSION),
        Column("openmp", TEXT, lambda row: row.openmp, _VERSION),
        Column("gpu_driver", TEXT, lambda row: row.gpu_driver, _VERSION),
        Column(
            "variables",
            TEXT,
            lambda row: row.variables,
            "environment variables that control kernels, threads or memory",
        ),
    ),
)
