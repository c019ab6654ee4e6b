from experiments import one_step


def test_the_document_s_figures(perform, reproduces):
    performance = perform(one_step)
    assert reproduces(performance, "one_step")
    before, after = performance.out.split("After the step")
    for number in ("-0.53892", "0.44868", "0.44894", "-0.56117"):  # target - output, from the document
        assert number in before
    for number in ("-0.53155", "0.45837", "0.45857", "-0.54965"):
        assert number in after


def test_the_picture_has_every_row_of_every_unit(tmp_path, figures):
    one_step.main(one_step.Config(runs_dir=tmp_path))
    words = [text.get_text() for text in figures["network"].axes[0].texts]
    for word in ("h1", "o1", "E", "0.53155", "0.54965", "w6 0.12678"):  # after the step
        assert word in words
