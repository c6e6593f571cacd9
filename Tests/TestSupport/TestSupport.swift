import LXCCore
