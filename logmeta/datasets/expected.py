"""Hashes of the sets as loaded with default limits; the figures in the docs are for these."""

from __future__ import annotations

from typing import Final

EXPECTED: Final[dict[str, str]] = {
    "apache": "9a09eb82e0e71679",
    "bgl_2k": "1f3aa40796416ba4",
    "celery": "908e9f0e2463bd08",
    "cinder": "064c12a5bdc6055e",
    "fixture": "37678974db5de642",
    "hadoop": "17a8ac0a3ac8db32",
    "hdfs": "e65d326424795b2a",
    "kafka": "ab48e4e356cc1e1b",
    "kalaki": "a4fd0662c149bddf",
    "kalaki_sequences": "92227266c07e5af0",
    "microservices": "452892f70b9c6f30",
    "mosquitto": "aa595b69d1015b04",
    "nginx": "a8c9aa708c4be6a9",
    "nova": "7f91eb2fa61cb5be",
    "openldap": "fb988cf7aa027833",
    "postgresql": "a69ee2c2b76864e5",
    "rabbitmq": "cd8c19840cc075db",
    "springboot": "8b445b1d681485d5",
    "sshd": "883e0d3a048cd13b",
    "trainticket": "33f3ca8fc110f537",
    "zookeeper": "0daa55232235b28e",
}
