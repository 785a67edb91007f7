"""Routes without board data: client.js, the authorization page, emoji."""

import json

from proxy.fake_trello.errors import Refusal
from proxy.fake_trello.request import (
    File,
    Obj,
    Request,
)
from proxy.fake_trello.routing import Table
from proxy.fake_trello.state import State

_SCRIPT = """\
(function (window, opts) {
  "use strict";
  var base = opts.apiEndpoint + "/" + opts.version + "/";
  function rest(method, path, params, success, error) {
    var query = new URLSearchParams(params || {});
    query.set("key", opts.key);
    if (Trello.token()) { query.set("token", Trello.token()); }
    return window.fetch(base + path.replace(/^\\/+/, "") + "?" + query, { method: method })
      .then(function (reply) { return reply.ok ? reply.json() : Promise.reject(reply); })
      .then(success, error);
  }
  var stored = null;
  var Trello = window.Trello = {
    version: function () { return opts.version; },
    key: function () { return opts.key; },
    setKey: function (key) { opts.key = key; },
    token: function () { return stored; },
    setToken: function (token) { stored = token; },
    deauthorize: function () { stored = null; },
    authorize: function () { window.open(opts.authEndpoint + "/1/authorize?key=" + opts.key); },
    rest: rest
  };
  ["GET", "PUT", "POST", "DELETE"].forEach(function (method) {
    Trello[method.toLowerCase()] = function (path, params, success, error) {
      return rest(method, path, params, success, error);
    };
  });
})(window, %s);
"""
_PAGE = b"""<!doctype html>
<html lang="en"><title>Authorize | Trello</title>
<h1>This is a fake Trello</h1><p>It grants no tokens; the demo has one already.</p></html>
"""
_EMOJI = (("GRINNING FACE", "1F600", "grinning"), ("THUMBS UP SIGN", "1F44D", "thumbsup"))


def _client_js(state: State, request: Request) -> File:
    del state
    options = {
        "version": 1,
        "apiEndpoint": "https://api.trello.com",
        "authEndpoint": "https://trello.com",
        "intentEndpoint": "https://trello.com",
        "key": request.requester.key or "",
    }
    body = _SCRIPT % json.dumps(options, separators=(",", ":"))
    return File("client.js", "application/javascript; charset=utf-8", body.encode())


def _authorize(state: State, request: Request) -> File:
    del state
    if request.requester.key is None:
        raise Refusal(400, "App not found")
    return File("authorize.html", "text/html; charset=utf-8", _PAGE)


def _emoji(state: State, request: Request) -> Obj:
    del state, request
    return {
        "trello": [
            {
                "unified": code,
                "native": chr(int(code, 16)),
                "name": name,
                "shortName": short,
                "shortNames": [short],
                "category": "Smileys & People",
            }
            for name, code, short in _EMOJI
        ]
    }


TABLE: Table = {
    ("GET", "client.js"): _client_js,
    ("GET", "authorize"): _authorize,
    ("GET", "emoji"): _emoji,
}
