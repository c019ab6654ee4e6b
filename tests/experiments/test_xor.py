import pytest

from experiments import xor
from manualgrad.data.documents import load


@pytest.mark.parametrize(
    "preset",
    ["sigmoid", pytest.param("tanh", marks=pytest.mark.slow), pytest.param("keras", marks=pytest.mark.slow)],
)
def test_the_document_s_figures(preset, perform, reproduces):
    performance = perform(xor, "--preset", preset, "--require-accuracy", "1")
    assert performance.status == 0
    assert reproduces(performance.metrics, f"xor_{preset}")
    assert performance.metrics["accuracy"] == 1
    assert [round(y) for y in performance.metrics["outputs"][0]] == [0, 1, 1, 0]
    assert performance.out.count("right") == 5  # four rows and the last line
    assert "wrong" not in performance.out
    accuracy, loss = performance.curve("accuracy/training"), performance.curve("loss/training")
    assert list(accuracy) == list(loss)
    assert loss[0] > 2 * list(loss.values())[-1]
    assert list(accuracy.values())[-1] == 1


def test_same_seed_same_figures(perform):
    figures = []
    for seed in (3, 3, 4):
        metrics = perform(xor, "--epochs", "150", "--seed", str(seed)).metrics
        del metrics["seconds"]
        figures.append(metrics)
    assert figures[0] == figures[1]
    assert figures[0] != figures[2]


@pytest.mark.parametrize("preset", ["sigmoid", "keras"])
def test_many_networks(preset, perform):
    performance = perform(xor, "--preset", preset, "--seeds", "3", "--epochs", "20")
    assert performance.status == 0
    assert performance.metrics["networks"] == 3
    assert len(performance.metrics["mean_absolute_errors"]) == 3
    rights = [[round(y) for y in outputs] == [0, 1, 1, 0] for outputs in performance.metrics["outputs"]]
    assert performance.metrics["networks_that_learnt"] == sum(rights)
    assert f"{sum(rights)} of 3 networks learnt it" in performance.out
    for seed in (42, 43, 44):
        assert f"seed {seed}: " in performance.out
    assert "0.45 to 0.50" in performance.out
    assert (performance.folder / "metrics.json").exists()


def test_the_second_of_two_networks_is_the_one_of_the_next_seed(perform):
    both = perform(xor, "--epochs", "5", "--seed", "7", "--seeds", "2").metrics["outputs"]
    one = perform(xor, "--epochs", "5", "--seed", "8").metrics["outputs"]
    assert both[1] == one[0]


def test_a_shorter_run_is_compared_as_far_as_it_goes(perform):
    performance = perform(xor, "--epochs", "1001")
    assert performance.status == 0
    assert list(performance.metrics["figures"]) == ["error at epoch 0", "error at epoch 1000"]


def test_another_seed_is_not_compared(perform):
    assert perform(xor, "--dry-run", "--seed", "1").metrics["figures_compared"] == 0


def test_dry_run_is_two_epochs(perform):
    performance = perform(xor, "--dry-run")
    assert performance.status == 0
    assert list(performance.curve("loss/training")) == [0, 1]


def test_required_accuracy(perform):
    performance = perform(xor, "--dry-run", "--require-accuracy", "0.75")
    assert performance.status == 1
    assert performance.err == "xor: error: accuracy 0.5 is below the required 0.75\n"
    assert perform(xor, "--dry-run", "--require-accuracy", "0.5").status == 0


def test_a_wrong_figure_is_noticed(perform, plant):
    plant("0.4988", "0.4987")
    performance = perform(xor, "--dry-run")
    assert performance.status == 1
    assert "error at epoch 0 should be 0.4987, got 0.4988" in performance.err


@pytest.mark.parametrize(
    "wrong", ["--preset=relu", "--epochs=0", "--seeds=0", "--seed=-1", "--require-accuracy=2"]
)
def test_a_wrong_argument_is_one_line(wrong, capsys):
    with pytest.raises(SystemExit) as ended:
        xor.main([wrong])
    assert ended.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_a_device_without_float64_is_refused(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("torch.backends.mps.is_available", lambda: True)
    assert xor.main(["--device", "mps", "--runs-dir", str(tmp_path)]) == 1
    assert capsys.readouterr().err == (
        "xor: error: --device mps: has no float64, which this experiment computes with; take cpu\n"
    )
    assert list(tmp_path.iterdir()) == []


def test_the_keras_network_starts_as_keras_would():
    network = xor.build("keras", load("xor_keras").given, 0, "cpu")
    hidden, _, output = network.model
    for layer, limit in ((hidden, 1.0), (output, (6 / 5) ** 0.5)):
        assert layer.weight.abs().max() <= limit
        assert layer.bias.tolist() == [0] * len(layer.bias)


@pytest.mark.parametrize("preset", ["sigmoid", "tanh"])
def test_by_hand_reproduces_the_document_s_figures(preset, perform, reproduces):
    performance = perform(xor, "--preset", preset, "--engine", "by-hand")
    assert performance.status == 0
    assert reproduces(performance.metrics, f"xor_{preset}")
    assert list(performance.curve("accuracy/training").values())[-1] == 1


def test_a_survey_of_networks(perform):
    performance = perform(xor, "--networks", "30", "--epochs", "300")
    assert performance.status == 0
    assert performance.metrics["tanh at 0.3"] > performance.metrics["sigmoid at 0.1"]
    assert "Networks that learn exclusive or" in performance.out


def test_a_survey_has_its_own_number_of_networks(tmp_path, capsys):
    assert xor.main(["--networks", "10", "--seeds", "2", "--runs-dir", str(tmp_path)]) == 1
    assert "no --seeds" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("option", ["--engine=by-hand", "--networks=10"])
def test_what_by_hand_does_not_know(option, tmp_path, capsys):
    assert xor.main([option, "--preset", "keras", "--runs-dir", str(tmp_path)]) == 1
    assert "know the presets sigmoid and tanh" in capsys.readouterr().err
