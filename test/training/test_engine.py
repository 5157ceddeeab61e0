"""The training loop learns and refuses to go on with nonsense; schedules have their shape."""

import functools
import itertools
import math
from types import SimpleNamespace

import pytest
import torch

from centernet_ros.backends import has_bfloat16
from centernet_ros.models import build_model
from centernet_ros.tasks import build_task
from training.config import AugmentConfig, OptimiserConfig, RunConfig
from training.data.loading import training_batches
from training.data.opening import open_training_samples
from training.data.street_samples import StreetSamples
from training.engine import TrainingError, evaluate, learning_rate, schedule_problems, train
from training.learner import start_learner, update_average
from training.sources import DataConfig, StreetSource
from training.strict import ConfigError


def build(config):
    torch.manual_seed(config.seed)
    model = build_model(config.backbone, config.task, 3)
    learner = start_learner(model, config.optimiser, torch.device("cpu"))
    return learner, build_task(config.task, 3)


def run(config, after_step):
    learner, task = build(config)
    return learner, task, train_from_start(config, learner, task, after_step)


def train_from_start(config, learner, task, after_step):
    samples = open_training_samples(config)
    return train(
        learner,
        task,
        batches=training_batches(samples, config, 0),
        preset=config.preset(samples.class_names),
        config=config.optimiser,
        steps_per_epoch=config.steps_per_epoch(len(samples)),
        first_step=0,
        after_step=after_step,
        names=samples.names,
    )


def test_what_a_run_is_too_short_for_is_told():
    config = OptimiserConfig(epochs=3, warmup_steps=30, schedule="step", drops=(2,))
    assert schedule_problems(config, 10) == []
    assert schedule_problems(config, 9) == [
        "optimiser.warmup_steps: the 27 steps of the run end before the 30 of the warm-up do; the "
        "learning rate never reaches its peak"
    ]
    late = OptimiserConfig(epochs=3, warmup_steps=0, schedule="step", drops=(2, 3, 9))
    assert schedule_problems(late, 1) == [
        "optimiser.drops: 3, 9 come to nothing, as the run ends after epoch 3"
    ]


def test_two_images_are_learnt_by_heart():
    # A processor that only imitates half precision would take minutes.
    precision = "bfloat16" if has_bfloat16(torch.device("cpu")) else "float32"
    config = RunConfig(
        backbone="resnet18_pyramid",
        input_size=(64, 192),
        data=DataConfig(train=StreetSource(8, 2), workers=0),
        augment=AugmentConfig(flip=0.0, scale=(1.0, 1.0), shift=0.0, colour=0.0),
        optimiser=OptimiserConfig(
            batch_size=2, epochs=40, warmup_steps=5, learning_rate=1e-3, precision=precision
        ),
    )
    losses = []
    learner, task, steps = run(config, lambda result: losses.append(result.loss) or True)

    assert steps == 40
    assert losses[-1] < 0.3 * losses[0]
    metrics = evaluate(learner.model, task, config.preset("abc"), StreetSamples(8, 2), workers=0)
    assert metrics.ap50 > 0.7


def test_a_step_reports_its_number_losses_and_learning_rate():
    config = RunConfig(
        input_size=(32, 96),
        data=DataConfig(train=StreetSource(images=4), workers=0),
        optimiser=OptimiserConfig(batch_size=2, epochs=1, warmup_steps=4, learning_rate=1.0),
    )
    results = []
    run(config, lambda result: results.append(result) or True)

    assert [result.step for result in results] == [1, 2]
    assert [result.learning_rate for result in results] == [0.25, 0.5]
    parts = results[0].parts
    assert results[0].loss == pytest.approx(
        parts["heatmap"] + 0.1 * parts["size"] + parts["offset"], rel=1e-5
    )


def test_a_step_tells_how_long_it_took_and_waited_for_its_images(monkeypatch):
    config = RunConfig(
        input_size=(32, 96),
        data=DataConfig(train=StreetSource(images=4), workers=0),
        optimiser=OptimiserConfig(batch_size=1, epochs=1),
    )
    learner, task = build(config)
    batch = next(training_batches(open_training_samples(config), config, 0))
    results = []
    clock = [0.0]
    monkeypatch.setattr("training.engine.time", SimpleNamespace(perf_counter=lambda: clock[0]))

    def slow_batches():
        for _ in range(2):
            clock[0] += 3
            yield batch

    # What is measured and written after a step is none of its time.
    def after_step(result):
        clock[0] += 100
        results.append(result)
        return True

    train(
        learner,
        task,
        batches=slow_batches(),
        preset=config.preset("abc"),
        config=config.optimiser,
        steps_per_epoch=2,
        first_step=0,
        after_step=after_step,
    )

    assert [(result.seconds, result.waited) for result in results] == [(3, 3), (3, 3)]


def test_training_stops_when_it_is_told_to():
    config = RunConfig(
        input_size=(32, 96),
        data=DataConfig(train=StreetSource(images=4), workers=0),
        optimiser=OptimiserConfig(batch_size=1, epochs=1),
    )

    _, _, steps = run(config, lambda result: result.step < 3)

    assert steps == 3


def test_a_loss_that_is_not_finite_ends_the_run_before_it_spoils_the_weights():
    config = RunConfig(
        input_size=(32, 96),
        data=DataConfig(train=StreetSource(images=2), workers=0),
        optimiser=OptimiserConfig(batch_size=2, epochs=1),
    )
    learner, task = build(config)
    heads = learner.model.heads
    with torch.no_grad():
        heads["size"][2].bias.fill_(float("inf"))
    before = heads["heatmap"][2].bias.clone()

    with pytest.raises(
        TrainingError, match=r"not finite at step 1 \(heatmap .*, size (inf|nan)"
    ) as caught:
        train_from_start(config, learner, task, lambda _: True)

    assert "with the images street seed 1 image " in str(caught.value)
    assert str(caught.value).count("street seed 1 image") == 2
    assert torch.equal(heads["heatmap"][2].bias, before)


def test_the_image_whose_loss_is_not_finite_is_named():
    config = RunConfig(
        input_size=(32, 96),
        data=DataConfig(train=StreetSource(images=4), workers=0),
        optimiser=OptimiserConfig(batch_size=4, epochs=1),
    )
    learner, task = build(config)
    batch = next(training_batches(open_training_samples(config), config, 0))
    batch["size"][2] = float("nan")
    culprit = f"image {int(batch['sample'][2])}"

    with pytest.raises(TrainingError, match=rf"with the images {culprit}: look at their labels"):
        train(
            learner,
            task,
            batches=[batch],
            preset=config.preset("abc"),
            config=config.optimiser,
            steps_per_epoch=1,
            first_step=0,
            after_step=lambda _: True,
            names=[f"image {i}" for i in range(4)],
        )


def gradient_of_one_step(**changes):
    """Gradient and loss of a step over four images, with frozen statistics."""
    config = RunConfig(
        input_size=(32, 96),
        data=DataConfig(train=StreetSource(images=4), workers=0),
        optimiser=OptimiserConfig(batch_size=4, epochs=1, learning_rate=1e-9, **changes),
    )
    learner, task = build(config)
    # Statistics of a part are others than those of the batch: leave them out of the comparison.
    for layer in learner.model.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.momentum = 0.0
            layer.forward = functools.partial(frozen, layer)
    results = []
    train_from_start(config, learner, task, lambda result: results.append(result) or True)
    assert len(results) == 1
    weights = [weight.grad for weight in learner.model.parameters() if weight.grad is not None]
    return torch.cat([gradient.flatten() for gradient in weights]), results[0].loss


def frozen(layer, image):
    return torch.nn.functional.batch_norm(
        image, layer.running_mean, layer.running_var, layer.weight, layer.bias
    )


def test_parts_of_a_batch_add_up_to_its_gradient():
    whole, loss = gradient_of_one_step()
    parts, loss_of_parts = gradient_of_one_step(accumulate=4)

    assert loss_of_parts == pytest.approx(loss, rel=1e-5)
    torch.testing.assert_close(parts, whole, rtol=1e-3, atol=1e-4 * whole.abs().max().item())


def test_a_long_gradient_is_shortened():
    whole, _ = gradient_of_one_step()
    clipped, _ = gradient_of_one_step(clip=1e-3)

    assert whole.norm() > 1e-2
    assert clipped.norm().item() == pytest.approx(1e-3, rel=1e-3)


def test_the_running_mean_forgets_the_start_and_follows_the_weights():
    model, mean = torch.nn.BatchNorm1d(2), torch.nn.BatchNorm1d(2)
    with torch.no_grad():
        model.weight.fill_(3.0)
    model.num_batches_tracked += 7

    update_average(mean, model, 0.5, step=1)
    assert mean.weight.tolist() == pytest.approx([1 + 2 * 10 / 11] * 2)
    update_average(mean, model, 0.5, step=1000)
    assert mean.weight.tolist() == pytest.approx([3 - 2 / 11 / 2] * 2)
    assert mean.num_batches_tracked == 7


def test_half_precision_of_gpus_is_refused_on_a_cpu():
    with pytest.raises(ConfigError, match=r"precision: float16 is for GPUs; choose bfloat16"):
        start_learner(
            torch.nn.Linear(1, 1), OptimiserConfig(precision="float16"), torch.device("cpu")
        )


def test_the_cosine_rises_falls_and_ends_at_zero():
    config = OptimiserConfig(learning_rate=1.0, warmup_steps=10, epochs=1, schedule="cosine")
    rates = [learning_rate(config, step, 110) for step in range(111)]

    assert rates[:10] == pytest.approx([(i + 1) / 10 for i in range(10)])
    assert rates[60] == pytest.approx(0.5)
    assert rates[110] == pytest.approx(0.0, abs=1e-12)
    assert all(a >= b for a, b in itertools.pairwise(rates[10:]))


def test_steps_drop_by_ten_after_the_named_epochs():
    config = OptimiserConfig(
        learning_rate=1.0, warmup_steps=0, epochs=4, schedule="step", drops=(2, 3)
    )
    rates = [learning_rate(config, epoch * 5 + 4, 5) for epoch in range(4)]

    assert rates == pytest.approx([1.0, 1.0, 0.1, 0.01])
    assert not any(math.isnan(rate) for rate in rates)
