"""What decides gives the same bits on every machine: no expression asks for what may differ.

Read from the syntax trees. IEEE 754 fixes sums of two numbers, products, divisions, roots, comparisons and rounding. It
leaves open, and so are refused here: sums in an order of somebody's choosing (numpy's, torch's, and Python's own since
3.12), exp, log, powers and the like of the C library, draws that hang on these or that numpy may change, and the order
of a set. `broker.arithmetic` has all of them in a form that is fixed.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from test_architecture import ROOT, modules, tree_of

DECIDING = (
    *("agent_node", "broker", "env_service"),
    *("scenarios/document", "scenarios/results", "scenarios/running"),
    "scenarios/studies/candidates.py",
)
"""Rooms whose numbers reach a digest, or decide what is played."""
CARRYING = (
    *("broker/security", "broker/servers", "broker/transports/mqtt", "broker/transports/zeromq", "broker/run_name.py"),
    *("scenarios/running/batch", "scenarios/running/machine.py", "scenarios/running/processes"),
)
"""Rooms in them that carry messages and start processes: no number of theirs is learned from."""

SUMS = {
    *("sum", "mean", "std", "var", "prod", "nansum", "nanmean", "nanstd", "nanvar", "nanprod", "average", "median"),
    *("percentile", "cov", "corrcoef", "convolve", "correlate", "trapezoid", "interp", "histogram", "bincount"),
    *("dot", "vdot", "inner", "outer", "matmul", "tensordot", "einsum", "kron", "trace", "norm", "cumsum", "cumprod"),
    *("mm", "bmm", "mv", "addmm", "addmv", "baddbmm", "linear", "lerp", "lerp_", "addcmul", "addcmul_", "addcdiv"),
    *("addcdiv_", "mse_loss", "cross_entropy", "backward", "grad", "sumprod", "fmean"),
}
TRANSCENDENTAL = {
    *("exp", "exp2", "expm1", "log", "log2", "log10", "log1p", "pow", "power", "float_power", "hypot", "dist", "cbrt"),
    *("sin", "cos", "tan", "asin", "acos", "atan", "atan2", "arcsin", "arccos", "arctan", "arctan2", "sinh", "cosh"),
    *("tanh", "arcsinh", "arccosh", "arctanh", "erf", "erfc", "erfinv", "gamma", "lgamma", "sinc", "logaddexp"),
    *("sigmoid", "softmax", "log_softmax", "logsumexp", "softplus", "gelu", "exp_", "log_", "pow_", "tanh_"),
    *("logspace", "geomspace", "cdf", "inv_cdf"),
}
DRAWS = {
    *("random", "integers", "uniform", "choice", "permutation", "permuted", "shuffle", "bytes", "normal"),
    *("standard_normal", "exponential", "standard_exponential", "dirichlet", "standard_gamma", "beta", "lognormal"),
    *("pareto", "weibull", "rayleigh", "poisson", "binomial", "geometric", "multinomial", "multivariate_normal"),
    *("triangular", "laplace", "logistic", "gumbel", "vonmises", "wald", "zipf", "chisquare", "negative_binomial"),
    *("hypergeometric", "logseries", "choices", "randint", "sample", "gauss", "normalvariate", "randn", "rand"),
    *("randperm", "bernoulli", "manual_seed"),
}
REFUSED = SUMS | TRANSCENDENTAL | DRAWS
"""Functions and methods, of whatever they are."""
EXACT = {"math.prod", "math.fsum"}
"""But these: one after the other, and rounded once."""
BUILT_IN = {"sum", "pow", "hash"}
LIBRARIES = {"np", "numpy", "math", "torch", "random"}
MODULES = {"statistics", "cmath", "scipy", "networkx"}
OURS = ("agent_node", "broker", "env_service", "scenarios")

_BELIEVABLE = "whether a share of losses is believable: told to people"
_WHOLE = "adds whole numbers, which is exact in any order"
_SMALL = "a whole number to the second power"
_COST = "what a run has cost, which no run repeats"
HARMLESS = {
    "agent_node/learning/differentiated.py": {
        "total.backward()": "algorithms that leave their gradient to torch: outside what is promised"
    },
    "agent_node/learning/shares.py": {
        "sum((math.prod(each.shape) * _DTYPES[each.kind].itemsize for each in self.fields(edge)))": _WHOLE
    },
    "broker/arithmetic/kernels.py": dict.fromkeys(("sum(sizes.hidden)", "sum(widths)", "sum(widths[:layer])"), _WHOLE),
    "broker/arithmetic/sizes.py": {
        "sum((rows * columns + columns for rows, columns in self.layers))": _WHOLE,
    },
    "scenarios/results/edge_account.py": {"sum((getattr(edge, count) or 0 for edge in edges))": _WHOLE},
    "scenarios/results/store.py": {"sum(os.times()[:4])": _COST},
    "scenarios/results/summary.py": {"sum((life.processor_s for life in lives))": _COST},
    "scenarios/running/bundles/kubernetes.py": {"sum(map(len, files.values()))": _WHOLE},
    "scenarios/running/cluster/connected.py": {
        "sum((node.cores for node in self.nodes()))": "how many tasks at a time"
    },
    "scenarios/running/hosts/sockets/watched.py": {"sum(FAILED)": _WHOLE},
    "broker/faults/content.py": {"sum((array.size for array in real))": _WHOLE},
    "broker/faults/judge.py": {
        "sum((one != two for one, two in zip(before, after, strict=True)))": _WHOLE,
        "sum((copy < config.seconds[1] - case.at_s for copy in before))": _WHOLE,
    },
    "broker/wire/arrays.py": {
        "sum((count for _, _, count in floats))": _WHOLE,
        "np.dot(flat, flat)": "finite in any order only if every number is; else each is looked at",
    },
    "env_service/config.py": {"self.grid ** 2": _SMALL},
    "env_service/environments/grid.py": {
        "self.side ** 2": _SMALL,
        "np.abs(self.coordinates[cells] - self.coordinates[others]).sum(axis=-1)": _WHOLE,
    },
    "env_service/environments/navigation.py": {"together.sum(axis=2)": _WHOLE},
    "env_service/global_streams.py": {
        "torch.manual_seed(derive(seed, 'torch') >> 1)": "for environments of others: outside what is promised"
    },
    "scenarios/document/needs.py": {
        "sum((*actor.hidden, actor.outputs))": _WHOLE,
        "sum((sizes.size for sizes in networks.estimators.values()))": _WHOLE,
        "sum(self.by_participant.values())": "megabytes, to warn by",
    },
    "scenarios/results/proof/aim.py": {"sum((count.examined for count in of_fault))": _WHOLE},
    "scenarios/results/proof/mismatches.py": {"sum(found[2:])": _WHOLE},
    "scenarios/results/proof/rates.py": {
        "sum((chances for chances, _ in edges.values()))": _WHOLE,
        "sum((hits for _, hits in edges.values()))": _WHOLE,
        "sum((len(tested) for _, rate, tested in rated if 0 < rate < 1))": _WHOLE,
        "from scipy.special import bdtr": _BELIEVABLE,
        "from scipy.special import bdtrc": _BELIEVABLE,
    },
}
"""By file: what is refused elsewhere, as `ast.unparse` writes it, and why no bit hangs on it here."""


def refused_in(tree: ast.AST) -> Iterator[str]:
    """Every expression of a module that is refused."""
    nodes = list(ast.walk(tree))
    called = {id(node.func) for node in nodes if isinstance(node, ast.Call)}
    own = {
        alias.asname or alias.name
        for node in nodes
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(OURS)
        for alias in node.names
    }
    for node in nodes:
        match node:
            case ast.Call(func=ast.Attribute() as function):
                ours = isinstance(function.value, ast.Name) and function.value.id in own
                if not ours and (is_refused(function) or is_sum_of_ufunc(function)):
                    yield ast.unparse(node)
            case ast.Attribute(value=ast.Name(id=library)) if library in LIBRARIES and id(node) not in called:
                if is_refused(node) or node.attr in {"linalg", "fft"}:
                    yield ast.unparse(node)
            case ast.Call(func=ast.Name(id=name)) if name in BUILT_IN - own:
                yield ast.unparse(node)
            case ast.Import() | ast.ImportFrom():
                yield from imports_of(node)
            case ast.BinOp(op=ast.MatMult()) | ast.AugAssign(op=ast.MatMult() | ast.Pow()):
                yield ast.unparse(node)
            case ast.BinOp(op=ast.Pow(), left=base, right=exponent) if not (is_whole(base) and is_whole(exponent)):
                yield ast.unparse(node)
            case ast.For(iter=source) | ast.comprehension(iter=source) if is_set(source):
                yield f"for ... in {ast.unparse(source)}"


def is_refused(function: ast.Attribute) -> bool:
    return function.attr in REFUSED and ast.unparse(function) not in EXACT


def is_sum_of_ufunc(function: ast.Attribute) -> bool:
    """`np.add.reduce` and the like; `accumulate` goes in order."""
    return function.attr in {"reduce", "reduceat", "at"} and ast.unparse(function.value) in {"np.add", "np.multiply"}


def imports_of(node: ast.Import | ast.ImportFrom) -> Iterator[str]:
    """What an import brings that is refused, if it is one by name."""
    if isinstance(node, ast.Import):
        yield from (f"import {alias.name}" for alias in node.names if alias.name.split(".")[0] in MODULES)
        return
    module = node.module or ""
    for name in (alias.name for alias in node.names):
        from_library = module.split(".")[0] in LIBRARIES and name in REFUSED and f"{module}.{name}" not in EXACT
        if module.split(".")[0] in MODULES or from_library:
            yield f"from {module} import {name}"


def is_whole(node: ast.expr) -> bool:
    """A number that is written out, without a fraction: its powers are exact, or too large to be written."""
    if isinstance(node, ast.UnaryOp):
        return is_whole(node.operand)
    return isinstance(node, ast.Constant) and isinstance(node.value, int | float) and node.value == int(node.value)


def is_set(node: ast.expr) -> bool:
    """An expression whose order nobody knows."""
    if isinstance(node, ast.BinOp):
        return is_set(node.left) or is_set(node.right)
    made = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in {"set", "frozenset"}
    return made or isinstance(node, ast.Set | ast.SetComp)


def deciding() -> dict[str, Path]:
    """Files of the deciding rooms, by their place in the house."""
    files = {path.relative_to(ROOT).as_posix(): path for path in modules()}
    return {place: path for place, path in files.items() if is_in(place, DECIDING) and not is_in(place, CARRYING)}


def is_in(place: str, rooms: tuple[str, ...]) -> bool:
    return any(place == room or place.startswith(f"{room}/") for room in rooms)


def test_nothing_that_decides_asks_for_what_differs_between_machines() -> None:
    asked = [
        f"{place}: {found}"
        for place, path in deciding().items()
        for found in refused_in(tree_of(path))
        if found not in HARMLESS.get(place, ())
    ]
    assert asked == [], "take it from broker.arithmetic, or say in HARMLESS why no bit hangs on it"


def test_every_exception_and_every_room_is_there() -> None:
    there = deciding()
    for place, harmless in HARMLESS.items():
        gone = {*harmless} - {*refused_in(tree_of(there[place]))}
        assert not gone, f"{place} has no such expression any more: strike it"
    assert [room for room in (*DECIDING, *CARRYING) if not (ROOT / room).exists()] == []


@pytest.mark.parametrize(
    "code",
    [
        *("x.sum()", "np.mean(x, axis=0)", "x.std()", "math.sumprod(a, b)", "sum(x)", "sum(map(len, x))"),
        *("a @ b", "a @= b", "np.einsum('ij->i', a)", "np.add.reduce(x)", "np.linalg.solve(a, b)", "torch.bmm(a, b)"),
        *("np.exp(x)", "list(map(math.exp, x))", "x.log_softmax(dim=-1)", "from math import log", "math.pow(a, b)"),
        *("x ** 0.5", "x**2", "2**x", "x **= 2", "pow(x, 2)", "import statistics", "from statistics import NormalDist"),
        *("stream.normal()", "stream.random(3)", "draws.stream('noise').dirichlet(x)", "generator(1).integers(5)"),
        *("from random import shuffle", "import networkx as nx", "hash(x)", "for x in {1, 2}: pass"),
        *("[x for x in set(a) | b]", "from numpy import dot", "from scipy.special import expit"),
    ],
)
def test_what_may_differ_is_refused(code: str) -> None:
    assert [*refused_in(ast.parse(code))]


@pytest.mark.parametrize(
    "code",
    [
        *("a * b + c / d", "math.sqrt(x)", "np.sqrt(x)", "2**31", "2.0**-53", "(-1) ** 3", "math.fsum(x)"),
        *("math.prod(shape)", "np.add.accumulate(x)", "np.maximum.reduce(x)", "x.max()", "x.argmax()", "abs(x)"),
        *(
            "sorted({1, 2})",
            "x in {1, 2}",
            "from broker.arithmetic.scalars import exp\nexp(x)",
            "from broker.arithmetic.chosen import kernels\nkernels.log_softmax(x)",
        ),
        *("uniforms(stream, (3,))", "uniform(seed, 'skip')", "stream.bit_generator.random_raw(3)", "round(x)"),
    ],
)
def test_what_is_exact_is_not(code: str) -> None:
    assert [*refused_in(ast.parse(code))] == []
