"""Reads a call's events to their end, by httpx-sse or sseclient-py, and posts again after a cut."""

import json
import sys
import time

import httpx
import httpx_sse
import requests
import sseclient

library, url, spec = sys.argv[1:]
headers = {"content-type": "application/json"}


def events():
    if library == "httpx-sse":
        with httpx.Client() as client:
            with httpx_sse.connect_sse(client, "POST", url, content=spec, headers=headers) as source:
                source.response.raise_for_status()
                yield from source.iter_sse()
    else:
        answer = requests.post(url, data=spec, headers=headers, stream=True)
        answer.raise_for_status()
        yield from sseclient.SSEClient(answer).events()


text = ""
ended = False
while not ended:
    try:
        for event in events():
            if event.id:
                headers["last-event-id"] = event.id
            data = json.loads(event.data)
            if data["type"] == "stdout":
                text += data["text"]
            ended = data["type"] in ("result", "failed")
    except (httpx.TransportError, requests.RequestException):
        time.sleep(0.02)
print(json.dumps(text))
