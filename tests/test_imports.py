"""What is slow to import is imported only where it is used: seconds that every command would begin with."""

import json
import subprocess
import sys
import textwrap
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_nothing_slow_is_imported_in_vain(tmp_path):
    """One process does more and more; after each step it says what has come into it that should not have."""
    script = f"""
        import json, sys

        def tell(step, *unwanted):
            print("after", json.dumps([step, [name for name in unwanted if name in sys.modules]]))

        import manualgrad.training
        tell("training", "tensorboard", "matplotlib", "PIL")
        from experiments import xor
        from pathlib import Path
        xor.main(xor.Config(epochs=2, log="none", runs_dir=Path({str(tmp_path)!r})))
        # The compiler comes with any of torch.optim's optimizers.
        tell("xor", "torch._dynamo", "tensorboard", "matplotlib", "pandas", "torchvision")
        import experiments.mnist
        tell("mnist", "torchvision")
    """
    command = [sys.executable, "-W", "ignore", "-c", textwrap.dedent(script)]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    told = [json.loads(line[6:]) for line in done.stdout.splitlines() if line.startswith("after ")]
    assert told == [["training", []], ["xor", []], ["mnist", []]]
