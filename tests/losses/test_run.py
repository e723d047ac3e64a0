"""The way a loss is executed changes nothing: chunks, sparse targets, layouts, the compiler, the Triton kernel."""

import copy
import threading

import pytest
import torch

from tests.helpers import run_python
from yolo_focal.errors import ConfigError
from yolo_focal.losses import LOSSES, chunked, set_backend, sigmoid_focal_loss
from yolo_focal.losses.focal import FOCAL

TERMS = {"alpha": 0.25, "pos_weight": None, "weight": None}
ELEMENTWISE = [name for name, row in LOSSES.items() if row.elementwise]


@pytest.fixture(autouse=True)
def default_backend(monkeypatch):
    """Each test starts from, and leaves behind, the backend that was set."""
    monkeypatch.setenv("YOLO_FOCAL_BACKEND", "auto")


def operands(shape, density=0.02, dtype=torch.float32):
    generator = torch.Generator().manual_seed(2)
    x = torch.randn(shape, generator=generator, dtype=dtype) * 3 - 3
    t = torch.rand(shape, generator=generator, dtype=dtype) * (torch.rand(shape, generator=generator) < density)
    return x, t


def run(name, x, t, reduction="sum", **kwargs):
    """Loss and gradient of a copy of `x`."""
    logits = x.detach().clone().requires_grad_()
    value = LOSSES[name].make(**{"gamma": 1.5, "alpha": 0.25, **kwargs}, reduction=reduction)(logits, t)
    value.sum().backward()
    return value.detach(), logits.grad


@pytest.mark.parametrize("density", [0.0, 0.001, 0.02, 0.5, 1.0])
@pytest.mark.parametrize("name", ELEMENTWISE)
def test_sparse_targets_change_nothing(name, density, monkeypatch):
    """The short cut for rows without targets gives what the full formula gives."""
    x, t = operands((700, 80), density, torch.float64)
    fast = run(name, x, t)
    monkeypatch.setattr(chunked, "_places_with_targets", lambda *_: None)
    torch.testing.assert_close(fast, run(name, x, t))


@pytest.mark.parametrize("shape", [(), (1,), (5,), (7, 1), (33, 3), (16, 100, 3), (2, 3, 20, 20, 5), (3, 5000, 17)])
def test_chunk_size_changes_nothing(shape, monkeypatch):
    """Shapes that do and do not divide into chunks and folded rows give the result of single elements."""
    x, t = operands(shape, 0.3, torch.float64)
    width = shape[-1] if shape else 1
    kwargs = {
        "alpha": torch.linspace(0, 1, width).reshape(shape[-1:]),
        "weight": torch.rand((*shape[:-1], 1) if shape else ()),
    }
    whole = run("focal", x, t, "none", **kwargs)
    monkeypatch.setattr(chunked, "CHUNK_ELEMENTS_CPU", 64)
    torch.testing.assert_close(run("focal", x, t, "none", **kwargs), whole)
    value, gradient = run("focal", x, t, "sum", **kwargs)
    torch.testing.assert_close((value, gradient), (whole[0].sum(), whole[1]))


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_layout_changes_nothing(name):
    """Transposed, strided and expanded operands give what contiguous copies give."""
    x, t = operands((40, 30, 6), 0.1)
    views = [x.transpose(0, 1), x[::2, 1::3], x[..., 2:3], x[:1].expand(5, 30, 6)]
    for view, target in zip(views, [t.transpose(0, 1), t[::2, 1::3], t[..., 2:3], t[:1].expand(5, 30, 6)], strict=True):
        for reduction in ("none", "sum"):
            found = run(name, view, target, reduction)
            expected = run(name, view.contiguous(), target.contiguous(), reduction)
            torch.testing.assert_close(found, expected)
    direct = x.clone().requires_grad_()
    sigmoid_focal_loss(direct.transpose(0, 2), t.transpose(0, 2), reduction="sum").backward()
    torch.testing.assert_close(direct.grad, run("focal", x, t, gamma=2.0)[1])


@pytest.mark.parametrize("shape", [(0,), (0, 5), (4, 0), (2, 0, 3)])
@pytest.mark.parametrize("name", ELEMENTWISE)
def test_no_elements_no_loss(name, shape):
    """Empty tensors give an empty result, or 0 when reduced, and an empty gradient."""
    for reduction in ("none", "mean", "sum"):
        value, gradient = run(name, torch.zeros(shape), torch.zeros(shape), reduction)
        assert value.shape == (shape if reduction == "none" else ()) and value.sum() == 0
        assert gradient.shape == shape


@pytest.mark.parametrize(
    "target_dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16, torch.int64, torch.bool]
)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
def test_dtypes(dtype, target_dtype):
    """Element-wise results have the dtype of the logits, reduced ones float32 at least; targets may be of any dtype."""
    x, t = operands((50, 4), 0.2)
    x, t = x.to(dtype), t.round().to(target_dtype)
    assert run("focal", x, t, "none")[0].dtype == dtype
    for reduction in ("mean", "sum"):
        value, gradient = run("focal", x, t, reduction)
        assert value.dtype == torch.promote_types(dtype, torch.float32) and gradient.dtype == dtype
        torch.testing.assert_close(value, run("focal", x.to(value.dtype), t.to(value.dtype), reduction)[0])


@pytest.mark.parametrize("dtype", [torch.bool, torch.uint8, torch.int64, torch.float32])
def test_targets_in_any_layout(dtype):
    """Slices that start anywhere, every second element, and one row for all."""
    x, t = operands((40, 8), 0.3)
    stored = t.round().to(dtype).flatten()
    for targets in (stored[1:17], stored[::20][:16], stored[3:11].expand(2, 8)):
        logits = x.flatten()[:16].view(targets.shape)
        torch.testing.assert_close(run("focal", logits, targets)[0], run("focal", logits, targets.float().clone())[0])


def test_the_default_device_is_not_that_of_the_logits():
    """A program that builds its models elsewhere, as on `meta`, has losses where its logits are."""
    x, t = operands((2000, 80), 0.01)
    expected = sigmoid_focal_loss(x, t)
    with torch.device("meta"):
        found = sigmoid_focal_loss(x, t)
    torch.testing.assert_close(found, expected)


def test_broadcast_terms():
    """alpha, weight and pos_weight broadcast as tensors do, over classes, images or single elements."""
    x, t = operands((3, 7, 5), 0.3, torch.float64)
    for shape in [(), (1,), (5,), (7, 1), (3, 1, 1), (1, 7, 5), (3, 7, 5)]:
        terms = {name: torch.rand(shape, dtype=torch.float64) for name in ("alpha", "weight", "pos_weight")}
        full = {name: term.expand(3, 7, 5).contiguous() for name, term in terms.items()}
        torch.testing.assert_close(run("focal", x, t, **terms), run("focal", x, t, **full))


def test_many_threads_at_once():
    """Losses computed in several Python threads do not disturb each other."""
    x, t = operands((2000, 80))
    expected, results = run("focal", x, t), {}
    threads = [threading.Thread(target=lambda i=i: results.update({i: run("focal", x, t)})) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 4
    for value, gradient in results.values():
        assert torch.equal(value, expected[0]) and torch.equal(gradient, expected[1])


def test_unknown_backend_is_refused():
    """A wrong backend is named together with the possible ones."""
    with pytest.raises(ConfigError, match=r"must be one of auto, compile, eager, triton, got 'cuda'"):
        set_backend("cuda")


@pytest.mark.slow
@pytest.mark.parametrize("name", ELEMENTWISE)
def test_compiled_agrees_with_eager(name):
    """torch.compile's kernel gives the eager result, also after gamma has changed, and for a second shape."""
    criterion = LOSSES[name].make(gamma=0.5, alpha=0.25, weight=torch.rand(80), reduction="sum")
    for gamma, shape, density in ((0.5, (90, 80), 0.02), (2.0, (2, 70, 80), 0.02), (1.0, (90, 80), 0.5)):
        x, t = operands(shape, density)
        x.view(-1)[:12] = torch.tensor([0, 20, -20, 50, -50, 100, -100, 1e4, -1e4, 88, -88, 1e-3])
        criterion.gamma = gamma
        results = []
        for backend in ("eager", "compile"):
            set_backend(backend)
            logits = x.clone().requires_grad_()
            ran = copy.deepcopy(criterion)  # a loss that remembers its calls starts from the same ones
            value = ran(logits, t)
            value.backward()
            results.append((value, logits.grad))
        criterion = ran
        torch.testing.assert_close(results[0], results[1], rtol=1e-5, atol=1e-6)


@pytest.mark.slow
def test_without_a_compiler_the_loss_runs_eagerly(tmp_path):
    """Where torch.compile finds no C++ compiler, one warning is given and the result is the eager one."""
    code = """
import warnings, torch
from yolo_focal.losses import FocalLoss
x, t = torch.randn(9, 5, requires_grad=True), torch.zeros(9, 5)
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    values = [FocalLoss(reduction="sum")(x, t) for _ in range(2)]
values[0].backward()
messages = [str(w.message) for w in caught if "torch.compile is not usable" in str(w.message)]
import yolo_focal.losses as losses
losses.set_backend("eager")
assert torch.equal(values[0], FocalLoss(reduction="sum")(x, t)) and x.grad.isfinite().all()
print(len(messages))
"""
    done = run_python(
        code,
        YOLO_FOCAL_BACKEND="compile",
        CXX=str(tmp_path / "no-compiler"),
        TORCHINDUCTOR_CACHE_DIR=str(tmp_path / "cache"),
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "1"


def test_triton_kernel_agrees_with_eager():
    """In Triton's interpreter the fused kernel gives the eager values and gradients, saturated logits included."""
    pytest.importorskip("triton")
    code = """
import itertools, torch
from yolo_focal.losses import LOSSES, run, set_backend
torch.manual_seed(0)
special = torch.tensor([0, 1e-3, -1e-3, 20, -20, 50, -50, 80, -80, 100, -100, 1e4, -1e4, torch.inf, -torch.inf, 1.0])
x = torch.cat([torch.randn(70, 16) * 6, special.expand(4, 16)])
t = torch.rand(74, 16) * (torch.rand(74, 16) > 0.8)
t[70:] = torch.tensor([0.0, 1.0, 0.3, 0.999])[:, None]
weight, pos_weight = torch.rand(16), torch.rand(16) + 1
dtypes = torch.float32, torch.bfloat16, torch.float16
for name, gamma, dtype in itertools.product(("bce", "focal", "qfl", "vfl"), (0.25, 1.5), dtypes):
    for alpha, reduction in ((None, "none"), (torch.linspace(0, 1, 16), "sum")):
        results = {}
        for backend in ("eager", "triton"):
            set_backend(backend)
            logits = (x if reduction == "none" else x.clamp(-1e4, 1e4)).to(dtype).clone().requires_grad_()
            row = LOSSES[name].make(gamma=gamma, alpha=alpha, weight=weight, pos_weight=pos_weight, reduction=reduction)
            value = row(logits, t)
            assert (value.grad_fn.backward_kernel is None) == (backend == "eager")
            (value * 3).sum().backward()
            results[backend] = value.detach().float(), logits.grad.float()
        tolerance = {torch.float32: 1e-5, torch.bfloat16: 1e-2, torch.float16: 1e-3}[dtype]
        torch.testing.assert_close(results["triton"], results["eager"], rtol=tolerance, atol=1e-6, equal_nan=False)
print("agrees")
"""
    done = run_python(code, TRITON_INTERPRET="1", OMP_NUM_THREADS="1")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "agrees"


@pytest.mark.slow
@pytest.mark.parametrize("out", ["sum", "value", "gradient"])
@pytest.mark.parametrize("dtype", ["fp32", "bf16", "fp16"])
def test_triton_kernel_compiles_for_a_gpu(out, dtype):
    """Triton turns the kernel of each loss into machine code for CUDA, which needs no GPU."""
    triton = pytest.importorskip("triton")
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    from yolo_focal.losses import triton_kernel

    kernel = triton_kernel._kernel
    pointers = {"logits_pointer": dtype, "out_pointer": "fp32" if out == "sum" else dtype}
    numbers = {"count": "i32", "classes": "i32", "gamma": "fp32"}
    for loss in set(triton_kernel.LOSS_OF.values()):
        constants = {"LOSS": loss, "OUT": out, "UPSTREAM_IS_SCALAR": True, "BLOCK": triton_kernel.BLOCK}
        constants["SLOPES"] = out != "gradient"
        signature = {
            name: "constexpr" if name in constants else numbers.get(name) or f"*{pointers.get(name, 'fp32')}"
            for name in kernel.arg_names
        }
        source = ASTSource(
            fn=kernel,
            signature=signature,
            constexprs={(kernel.arg_names.index(name),): value for name, value in constants.items()},
        )
        assert triton.compile(source, target=GPUTarget("cuda", 80, 32)).asm["cubin"]


@pytest.mark.parametrize("fault", ["wrong", "raises", "absent"])
def test_a_triton_kernel_that_disagrees_is_left_alone_after_one_warning(fault, monkeypatch, recwarn):
    """Before its first use it is held against the eager path; results are then those of that."""
    import functools

    from yolo_focal.losses import run as running

    def wrong(logits, targets, **wanted):
        outcome = chunked.run_chunked(FOCAL, logits, targets, {"gamma": 2.0, **TERMS}, **wanted)
        return outcome._replace(gradient=None)

    def raises(logits, targets, **wanted):
        raise RuntimeError("PTX was built for another GPU")

    kernel = {"wrong": (wrong, lambda logits, *_: torch.zeros_like(logits)), "raises": (raises, None), "absent": None}
    monkeypatch.setattr(running, "_triton_kernel", lambda *_: kernel[fault])
    monkeypatch.setattr(running, "_triton_agrees", functools.cache(running._triton_agrees.__wrapped__))
    x, t = operands((40, 6))
    expected = run("focal", x, t)
    set_backend("triton")
    for _ in range(2):
        torch.testing.assert_close(run("focal", x, t), expected, rtol=0, atol=0)
    said = [str(warning.message) for warning in recwarn if "Triton kernel is not usable on cpu" in str(warning.message)]
    assert len(said) == (fault != "absent")
    assert fault != "raises" or "PTX was built for another GPU" in said[0]


def test_auto_is_eager(monkeypatch):
    """The kernel is not even looked at, on a GPU neither."""
    from yolo_focal.losses import run as running

    monkeypatch.setattr(running, "_triton_kernel", lambda *_: pytest.fail("auto asked for the kernel"))
    run("focal", *operands((4, 6)))
