"""Prints the data lines of a stream of events, by the line reader of requests or of httpx."""

import sys

import httpx
import requests

library, url, spec = sys.argv[1:]
headers = {"content-type": "application/json"}


def lines():
    if library == "requests":
        with requests.post(url, data=spec, headers=headers, stream=True) as answer:
            yield from answer.iter_lines(decode_unicode=True)
    else:
        with httpx.stream("POST", url, content=spec, headers=headers) as answer:
            yield from answer.iter_lines()


for line in lines():
    if line.startswith("data: "):
        print(line[6:])
