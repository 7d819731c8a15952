"""What scoring will take, told by the recipe alone."""

from dataclasses import replace

from svtcli.model.flops import forward_flops
from svtcli.project.estimate import estimate_eval
from svtcli.recipe.load import load_recipe


def test_the_paper_s_protocol_on_bair_is_what_it_says():
    """256 clips, 20 trials, windows of 16 frames in a row (§4.1)."""
    wanted = ("eval.metrics=[likelihood,fvd-avg,psnr]", "eval.also=[val]")
    baselines = "eval.baselines=[uniform]"
    frames = ("sample.frames=30", "eval.sampled_prime=1")
    recipe = load_recipe("bair_large", (*wanted, baselines, *frames)).recipe
    found = estimate_eval(recipe)
    assert found.splits == ("test", "val")
    assert found.likelihood.models == ("trained", "uniform")
    assert found.likelihood.clips == recipe.eval.clips
    slices = found.likelihood.slices
    assert found.likelihood.flops == forward_flops(recipe.model, slices)
    assert found.trials.metrics == ("fvd-avg", "psnr")
    assert (found.trials.samples, found.trials.frames) == (20 * 256, 30)
    # 15 windows of 256 real clips and of 20 trials; 512 other clips for the floor.
    assert found.trials.features == 15 * (256 + 20 * 256) + 2 * 256


def test_the_first_window_alone_and_no_window_at_all():
    recipe = load_recipe("quickstart").recipe
    likelihood = replace(recipe.eval, metrics=("likelihood",))
    assert estimate_eval(replace(recipe, eval=likelihood)).trials is None

    def features(*metrics, per_prime=1):
        trials = {"videos": 10, "trials": 2, "per_prime": per_prime}
        settings = replace(recipe.eval, metrics=metrics, **trials)
        return estimate_eval(replace(recipe, eval=settings)).trials.features

    assert features("fvd") == features("kvd") == 10 * 3 + 20
    assert features("fvd", per_prime=2) == 10 * 5 + 40
    assert features("psnr", "ssim") == 0
    only = estimate_eval(replace(recipe, eval=replace(recipe.eval, metrics=("psnr",))))
    assert only.likelihood is None
