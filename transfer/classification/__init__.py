"""Does a backbone carry over to another data set of classes: tuned, as fixed features, by nearest neighbours."""
