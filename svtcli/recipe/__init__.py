"""Recipes: what one experiment is, as YAML that is checked before anything starts."""
