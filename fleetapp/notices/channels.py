"""Ways out of the system behind one interface: text messages and work chat over HTTP, mail over SMTP. Off unless configured."""

import json
import smtplib
import socket
import ssl
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from email.headerregistry import Address
from email.message import EmailMessage
from http.client import HTTPException
from typing import Any, Protocol

from fleetapp.kit.outward import OPENER
from fleetapp.notices.rules import ChannelName
from fleetapp.settings import Settings

LONGEST_ANSWER = 65_536
DUPLICATE = 409
RETRY = frozenset({408, 425, 429})
"""Refusals that say: later."""


class Unsent(Exception):
    """A message was not taken; ``again`` whether another attempt may help, ``down`` whether the provider did not answer at all."""

    def __init__(self, reason: str, *, again: bool, down: bool = False) -> None:
        super().__init__(reason)
        self.reason, self.again, self.down = reason, again, down


@dataclass(frozen=True, slots=True)
class Message:
    """What goes out. ``key`` is the same with every attempt: a provider that has it already does nothing."""

    to: str
    title: str
    text: str
    link: str
    key: str


@dataclass(frozen=True, slots=True)
class Receipt:
    """The provider's own number of a message it took."""

    provider_id: str


class Channel(Protocol):
    """One way out."""

    @property
    def name(self) -> ChannelName:
        """Which one."""

    def send(self, message: Message) -> Receipt:
        """Hand a message over.

        :raises Unsent: it was not taken, or nobody knows.
        """


def _post(url: str, body: Mapping[str, Any], *, token: str, key: str, timeout_s: float) -> Receipt:
    """Post JSON and read the provider's number ``id`` or ``msgId``; the key also stands in ``Idempotency-Key``.

    :raises Unsent: any answer but 2xx and 409, which says that the key is known already.
    """
    headers = {"Content-Type": "application/json; charset=utf-8", "Idempotency-Key": key}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    request = urllib.request.Request(url, json.dumps(body, ensure_ascii=False).encode(), headers)  # noqa: S310 -- checked by the settings
    try:
        with OPENER.open(request, timeout=timeout_s) as answer:
            raw = answer.read1(LONGEST_ANSWER)
    except urllib.error.HTTPError as error:
        with error:
            if error.code == DUPLICATE:
                return Receipt(key)
            raise Unsent(f"HTTP {error.code}", again=error.code >= 500 or error.code in RETRY) from error
    except (OSError, HTTPException) as error:
        raise Unsent(f"{type(error).__name__}: {error}", again=True, down=True) from error
    return _receipt(raw, key)


def _receipt(raw: bytes, key: str) -> Receipt:
    """Return the number in an answer; a provider may refuse in words with a 200 (``success`` false, ``errcode`` not 0).

    :raises Unsent: it did.
    """
    try:
        answer = json.loads(raw or b"{}")
    except ValueError:
        answer = {}
    if not isinstance(answer, dict):
        answer = {}
    if answer.get("success") is False or answer.get("errcode") not in (None, 0, "0"):
        raise Unsent(str(answer.get("message") or answer.get("errmsg") or answer.get("errcode")), again=False)
    return Receipt(str(answer.get("id") or answer.get("msgId") or answer.get("messageId") or key)[:120])


@dataclass(frozen=True, slots=True)
class SmsGateway:
    """A text-message gateway: ``{"to", "text", "key"}``."""

    url: str
    token: str
    timeout_s: float
    name: ChannelName = ChannelName.SMS

    def send(self, message: Message) -> Receipt:
        """Hand a text message over."""
        body = {"to": message.to, "text": message.text, "key": message.key}
        return _post(self.url, body, token=self.token, key=message.key, timeout_s=self.timeout_s)


@dataclass(frozen=True, slots=True)
class WorkChat:
    """A work-chat notice by webhook in the form of 浙政钉 work notices: receivers, message type, text with the page to open."""

    url: str
    token: str
    timeout_s: float
    name: ChannelName = ChannelName.CHAT

    def send(self, message: Message) -> Receipt:
        """Hand a work notice over."""
        body = {
            "receiverIds": message.to, "bizMsgId": message.key,
            "msg": {"msgtype": "action_card", "action_card": {
                "title": message.title, "markdown": message.text, "single_url": message.link,
            }},
        }  # fmt: skip
        return _post(self.url, body, token=self.token, key=message.key, timeout_s=self.timeout_s)


@dataclass(frozen=True, slots=True)
class Mail:
    """Mail through an SMTP relay; its Message-ID is made of the key."""

    host: str
    port: int
    sender: str
    user: str
    password: str
    tls: bool
    timeout_s: float
    name: ChannelName = ChannelName.MAIL

    def send(self, message: Message) -> Receipt:
        """Hand a mail over."""
        mail = EmailMessage()
        mail["Subject"], mail["From"], mail["To"] = message.title, self.sender, Address(addr_spec=message.to)
        mail["Message-ID"] = f"<{message.key}@{self.sender.rpartition('@')[2] or 'localhost'}>"
        mail.set_content(f"{message.text}\n\n{message.link}\n" if message.link else f"{message.text}\n")
        try:
            with smtplib.SMTP(
                self.host, self.port, timeout=self.timeout_s, local_hostname=socket.gethostname()
            ) as relay:
                if self.tls:
                    relay.starttls(context=ssl.create_default_context())  # the default verifies nobody
                if self.user:
                    relay.login(self.user, self.password)
                relay.send_message(mail)
        except smtplib.SMTPResponseException as error:
            raise Unsent(f"SMTP {error.smtp_code}", again=error.smtp_code < 500) from error
        except smtplib.SMTPRecipientsRefused as error:
            codes = [code for code, _ in error.recipients.values()]
            raise Unsent(f"SMTP {codes}", again=all(code < 500 for code in codes)) from error
        except (OSError, smtplib.SMTPException) as error:
            raise Unsent(f"{type(error).__name__}: {error}", again=True, down=True) from error
        return Receipt(message.key)


def configured(settings: Settings) -> tuple[Channel, ...]:
    """Return the channels that the settings switch on."""
    found: list[Channel] = []
    if settings.sms_url:
        found.append(SmsGateway(settings.sms_url, settings.sms_token, settings.channel_timeout_s))
    if settings.mail_host:
        found.append(Mail(settings.mail_host, settings.mail_port, settings.mail_from, settings.mail_user, settings.mail_password,
                          settings.mail_tls, settings.channel_timeout_s))  # fmt: skip
    if settings.chat_url:
        found.append(WorkChat(settings.chat_url, settings.chat_token, settings.channel_timeout_s))
    return tuple(found)
