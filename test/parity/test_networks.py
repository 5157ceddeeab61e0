"""Networks with weights in the authors' names give the authors' maps."""

import pytest
import torch

from centernet_ros.checkpoint import load_weights, recognise
from centernet_ros.checkpoint.authors import HEADS, UNUSED, our_names, to_authors, to_ours
from centernet_ros.models import BACKBONE_ALIASES, build_model
from centernet_ros.models.layers import bilinear_kernel
from centernet_ros.tasks import TASK_ALIASES

pytestmark = pytest.mark.timeout(600)  # a busy machine takes its time over an hourglass

LEFT_OUT = ("res_18", "dlav0_34")
"""Architectures without published weights, which this package does not have."""

NETWORKS = [
    *((arch, task) for arch in ("resdcn_18", "resdcn_101", "dla_34") for task in ("ctdet_voc",)),
    *((arch, task) for arch in BACKBONE_ALIASES for task in TASK_ALIASES),
]
SLOW = [("hourglass", task) for task in TASK_ALIASES]
MARKED = [pytest.param(n, marks=[pytest.mark.slow] if n in SLOW else []) for n in NETWORKS]
OF_BOXES = [n for n in MARKED if n.values[0][1] == "ctdet"]


def named(network):
    return "-".join(network)


def build(reference, arch, task):
    """Our network of a manifest, its weights random."""
    classes = reference.manifest(arch, task)["heads"]["hm"]
    return build_model(arch, task.removesuffix("_voc"), classes)


def shapes_of(reference, arch, task):
    """Names and shapes of the authors' state dict."""
    return {n: tuple(shape) for n, shape, _ in reference.manifest(arch, task)["state_dict"]}


def test_every_group_is_tested(reference):
    files = (reference.folder / "vectors" / "networks").glob("*_*.npz")
    groups = {path.stem for path in files if path.stem != "dcn_module"}
    assert groups - {"_".join(n) for n in NETWORKS} == {
        group for group in groups if group.startswith(LEFT_OUT)
    }


# --- names and numbers of parameters


@pytest.mark.parametrize("network", NETWORKS, ids=named)
def test_names_map_one_to_one(reference, network):
    arch, task = network
    theirs = {n: torch.empty(s, device="meta") for n, s in shapes_of(reference, *network).items()}
    with torch.device("meta"):
        ours = build(reference, *network).state_dict()
    renamed = to_ours(theirs)
    assert {n: v.shape for n, v in renamed.items()} == {n: v.shape for n, v in ours.items()}
    back = to_authors(ours)
    assert back.keys() == ours.keys()
    assert set(back.values()) == theirs.keys() - set(UNUSED)
    assert all(renamed[name] is theirs[their_name] for name, their_name in back.items())
    expected = (BACKBONE_ALIASES[arch], TASK_ALIASES[task.removesuffix("_voc")])
    for state in (theirs, ours):
        assert recognise(state) == (*expected, len(theirs[last_layer(theirs, "hm", "bias")]))


def last_layer(names, head, kind):
    """Name of a tensor of a head's final convolution, of the last stack."""
    return sorted(n for n in names if n.startswith(f"{head}.") and n.endswith(kind))[-1]


@pytest.mark.parametrize("network", NETWORKS, ids=named)
def test_parameters_are_counted(reference, network):
    with torch.device("meta"):
        model = build(reference, *network)
    manifest = reference.manifest(*network)
    shapes = shapes_of(reference, *network)
    unused = sum(torch.Size(shapes[name]).numel() for name in UNUSED if name in shapes)
    assert sum(p.numel() for p in model.parameters()) + unused == manifest["n_parameters"]


# --- maps


@pytest.fixture(scope="module", params=MARKED, ids=named)
def filled(request, reference, tmp_path_factory):
    """A network in float64, filled from a file such as the authors', and its expectations."""
    arch, task = request.param
    path = tmp_path_factory.mktemp("authors") / "model_last.pth"
    weights = {f"module.{name}": v for name, v in reference.weights(arch, task).items()}
    # Their files are of PyTorch 0.4, bare pickles.
    torch.save({"epoch": 140, "state_dict": weights}, path, _use_new_zipfile_serialization=False)
    model = build(reference, arch, task)
    load_weights(model, path)
    path.unlink()
    return request.param, model.double().eval(), reference.tensors(f"networks/{arch}_{task}.npz")


def sizes(expected):
    """Heights and widths that a file of expectations has, smallest image first."""
    found = {key.split("/")[0] for key in expected}
    return sorted([tuple(map(int, size.split("x"))) for size in found], key=lambda s: s[0] * s[1])


def assert_maps(stacks, expected, size, field, **tolerances):
    """Compare the maps of all stacks where the file has samples, and their means."""
    start = f"{size[0]}x{size[1]}/"
    heads = {tuple(key.split("/")[1:3]) for key in expected if key.startswith(start)}
    got = {(f"stack{i}", name) for i, maps in enumerate(stacks) for name in maps}
    assert {(stack, HEADS[head]) for stack, head in heads} == got
    for stack, head in heads:
        value, key = stacks[int(stack.removeprefix("stack"))][HEADS[head]], f"{start}{stack}/{head}"
        assert value.shape == tuple(expected[f"{key}/shape"].tolist())
        read = value.flatten()[expected[f"{key}/idx"].long()]
        torch.testing.assert_close(
            read, expected[f"{key}/{field}"], **tolerances, msg=lambda text, k=key: f"{k}: {text}"
        )
        assert value.mean().item() == pytest.approx(expected[f"{key}/mean"].item(), abs=1e-3)


def run(model, reference, size):
    with torch.no_grad():
        return model(reference.image(1, *size).to(next(model.parameters()).dtype))


def test_maps(reference, filled):
    _, model, expected = filled
    for size in sizes(expected):
        assert_maps(run(model, reference, size), expected, size, "val64", rtol=0, atol=1e-5)


@pytest.mark.parametrize("filled", OF_BOXES, indirect=True, ids=named)
def test_every_layer(reference, filled):
    """Where the maps are wrong, this tells from which layer on."""
    (arch, task), model, expected = filled
    layers = reference.json(f"networks/activations_{arch}_{task}.json")
    weights = {f"{layer}.weight" for layer in layers} & shapes_of(reference, arch, task).keys()
    found = {}

    def keep(layer):
        def hook(_module, _inputs, output):
            # At once: what follows may change the output in place.
            found[layer] = output.shape, output.mean().item(), output.std().item()

        return hook

    modules = dict(model.named_modules())
    handles = [
        modules[ours.removesuffix(".weight")].register_forward_hook(
            keep(theirs.removesuffix(".weight"))
        )
        for theirs, ours in our_names(weights).items()
    ]
    run(model, reference, sizes(expected)[0])
    for handle in handles:
        handle.remove()
    assert len(found) == len(weights) > 10
    for layer, (shape, *statistics) in found.items():
        assert list(shape) == layers[layer][0], layer
        assert statistics == pytest.approx(layers[layer][1:], abs=1e-5), layer


@pytest.mark.parametrize("arch", ["resdcn_18", "dla_34"])
def test_maps_in_single_precision(reference, arch):
    """As users run it."""
    model = build(reference, arch, "ctdet")
    load_weights(model, reference.weights(arch, "ctdet"))
    expected = reference.tensors(f"networks/{arch}_ctdet.npz")
    size = sizes(expected)[0]
    maps = run(model.eval(), reference, size)
    assert_maps(maps, expected, size, "val", rtol=1e-3, atol=2e-3)


@pytest.mark.parametrize(
    "network",
    [
        *(n for n in NETWORKS if n[0] != "hourglass"),
        pytest.param(("hourglass", "ctdet"), marks=pytest.mark.slow),
    ],
    ids=named,
)
def test_parameters_without_gradient_are_the_authors(reference, network):
    """In training, every parameter learns but those that the authors' do not either."""
    model = build(reference, *network)
    load_weights(model, reference.weights(*network))
    step = model.input_multiple
    stacks = model.train()(reference.image(2, step, step))
    sum(value.square().sum() for maps in stacks for value in maps.values()).backward()
    names = to_authors(model.state_dict())
    dead = {
        names[name]
        for name, parameter in model.named_parameters()
        if parameter.grad is None or not parameter.grad.any()
    }
    expected = set(reference.manifest(*network)["parameters_without_gradient_any_output"])
    assert dead == expected - set(UNUSED)


# --- initial state


def test_bilinear_kernels(reference):
    for key, expected in reference.json("networks/bilinear_init.json").items():
        size = int(key.removeprefix("k"))
        kernel = bilinear_kernel(size)
        torch.testing.assert_close(kernel, torch.tensor(expected).view(size, size))
