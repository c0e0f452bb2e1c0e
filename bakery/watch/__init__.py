"""Builds again what a saved file affects."""
