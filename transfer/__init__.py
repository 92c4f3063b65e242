"""Does a backbone carry over to another task: classification, detection, segmentation."""
