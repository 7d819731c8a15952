"""From the settings of a dataset to its plan, whatever kind it is."""

from svtcli.data.plan import Plan
from svtcli.data.sources.bair import plan_bair
from svtcli.data.sources.folder import plan_folder
from svtcli.data.sources.kinetics import plan_kinetics
from svtcli.data.sources.moving_mnist import plan_moving_mnist
from svtcli.data.sources.robot_push import plan_robot_push
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
            return plan_folder(data)
        case KineticsData():
            return plan_kinetics(data)
        case BairData():
            return plan_bair(data)
        case RobotPushData():
            return plan_robot_push(data)
        case MovingMnistData():
            return plan_moving_mnist(data)
