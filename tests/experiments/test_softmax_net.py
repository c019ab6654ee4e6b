from experiments import softmax_net


def test_the_document_s_figures(perform, reproduces):
    performance = perform(softmax_net)
    assert reproduces(performance, "softmax_net")
    w1, w3 = performance.curve("gradient/W1"), performance.curve("gradient/W3")
    assert all(w3[iteration] > 10 * w1[iteration] for iteration in w3)


def test_other_settings_are_not_compared(perform):
    performance = perform(softmax_net, "--iterations", "2", "--learning-rate", "0.5")
    assert performance.status == 0
    assert performance.metrics["figures_compared"] == 0
