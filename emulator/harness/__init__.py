"""A lab in a test's hands: traffic, faults, waits and figures, without pytest.

with Labs() as labs:
    lab = labs.up("two-region.yaml")
    with lab.traffic(rate=50):
        lab.kill("us-east")
        lab.wait_recovered(timeout=30)
    print(lab.recovery("paris").p100)
"""

from emulator.harness.figures import Count, Recovery, Seconds, Share
from emulator.harness.lab import LabUnderTest, Missed
from emulator.harness.labs import Labs
from emulator.harness.result import Result

__all__ = ["Count", "LabUnderTest", "Labs", "Missed", "Recovery", "Result", "Seconds", "Share"]
