"""From the settings of a dataset to its plan, whatever kind it is.

A kind's own code, and the codecs that it may need, are loaded when it is planned: what
trains or samples prepared clips starts without them.
"""

from svtcli.prepare.plan import Plan
from svtcli.recipe.data import (
    BairData,
    Data,
    FolderData,
    KineticsData,
    MovingMnistData,
    RobotPushData,
)


def make_plan(data: Data) -> Plan:
    """Look at the source and decide what will be made. Errors: `Refused`, `BadData`."""
    match data:
        case FolderData():
            from svtcli.prepare.sources.folder import plan_folder

            return plan_folder(data)
        case KineticsData():
            from svtcli.prepare.sources.kinetics import plan_kinetics

            return plan_kinetics(data)
        case BairData():
            from svtcli.prepare.sources.bair import plan_bair

            return plan_bair(data)
        case RobotPushData():
            from svtcli.prepare.sources.robot_push import plan_robot_push

            return plan_robot_push(data)
        case MovingMnistData():
            from svtcli.prepare.sources.moving_mnist import plan_moving_mnist

            return plan_moving_mnist(data)
