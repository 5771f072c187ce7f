"""Measurements of the data engine and of the deployment; nothing here is asserted."""
