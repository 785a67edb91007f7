"""Responses cut out of larger stored responses."""
