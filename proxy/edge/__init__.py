"""The only users of aiohttp.web."""
