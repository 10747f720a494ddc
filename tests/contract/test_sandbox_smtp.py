"""Python's own mail client talks to the sandbox's mail server."""

import smtplib
from email.message import EmailMessage
from typing import Any

import httpx
import pytest

CALENDAR = "BEGIN:VCALENDAR\r\nMETHOD:REQUEST\r\nEND:VCALENDAR\r\n"


class Mail:
    """The server's control, and its port."""

    def __init__(self, url: str) -> None:
        self.url = f"{url}/smtp/_control"
        self.port = int(httpx.get(f"{self.url}/address").json()["port"])

    def tell(self, path: str, **body: Any) -> None:
        httpx.post(f"{self.url}/{path}", json=body).raise_for_status()

    def messages(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = httpx.get(f"{self.url}/messages").json()["messages"]
        return found

    def connect(self) -> smtplib.SMTP:
        return smtplib.SMTP("127.0.0.1", self.port, timeout=10)


@pytest.fixture
def mail(sandbox_url: str) -> Mail:
    found = Mail(sandbox_url)
    httpx.post(f"{found.url}/reset").raise_for_status()
    return found


def invitation(*recipients: str) -> EmailMessage:
    message = EmailMessage()
    message["From"] = "Calstream <bookings@acme.example>"
    message["To"] = ", ".join(recipients or ("jo@example.com",))
    message["Subject"] = "Your trial \N{EM DASH} Friday"
    message["Message-ID"] = "<booking-1.v2.invitation@acme.example>"
    message.set_content("See you on Friday.")
    message.add_alternative(CALENDAR, subtype="calendar", params={"method": "REQUEST"})
    return message


def test_a_message_is_kept_with_its_parts(mail: Mail) -> None:
    with mail.connect() as client:
        client.login("calstream", "sandbox")
        assert client.send_message(invitation()) == {}
    (kept,) = mail.messages()
    assert (kept["from"], kept["to"]) == ("bookings@acme.example", ["jo@example.com"])
    assert kept["message_id"] == "<booking-1.v2.invitation@acme.example>"
    assert kept["subject"] == "Your trial \N{EM DASH} Friday"
    text, calendar = kept["parts"]
    assert (text["content_type"], text["content"]) == ("text/plain", "See you on Friday.\r\n")
    assert calendar["content_type"] == "text/calendar"
    assert calendar["parameters"]["method"] == "REQUEST"
    assert "METHOD:REQUEST" in calendar["content"]
    assert "\r\n" in kept["raw"]


def test_each_recipient_is_taken_or_refused_for_itself(mail: Mail) -> None:
    message = invitation("jo@example.com", "li@bounce.example", "mo@full.example")
    with mail.connect() as client:
        refused = client.send_message(message)
    assert {address: code for address, (code, _) in refused.items()} == {
        "li@bounce.example": 550,
        "mo@full.example": 452,
    }
    assert [each["to"] for each in mail.messages()] == [["jo@example.com"]]
    with mail.connect() as client, pytest.raises(smtplib.SMTPRecipientsRefused):
        client.send_message(invitation("li@bounce.example"))


@pytest.mark.parametrize(
    ("stage", "status", "error"),
    [
        ("mail", 451, smtplib.SMTPSenderRefused),
        ("rcpt", 550, smtplib.SMTPRecipientsRefused),
        ("data", 451, smtplib.SMTPDataError),
        ("data", 554, smtplib.SMTPDataError),
    ],
)
def test_a_fault_hits_its_command_once_and_nothing_is_kept(
    mail: Mail, stage: str, status: int, error: type[smtplib.SMTPException]
) -> None:
    mail.tell("faults", stage=stage, status=status)
    with mail.connect() as client:
        with pytest.raises(error, match=str(status)):
            client.send_message(invitation())
        assert mail.messages() == []
        client.send_message(invitation())
    assert len(mail.messages()) == 1


def test_a_message_is_kept_though_the_connection_breaks_before_the_reply(mail: Mail) -> None:
    mail.tell("faults", accepted_then_dropped=True)
    with pytest.raises(smtplib.SMTPServerDisconnected), mail.connect() as client:
        client.send_message(invitation())
    with mail.connect() as client:
        client.send_message(invitation())
    ids = [each["message_id"] for each in mail.messages()]
    assert len(ids) == 2
    assert len(set(ids)) == 1, "the same message twice, as its id tells"


def test_a_hanging_server_outlasts_the_client(mail: Mail) -> None:
    mail.tell("faults", hang_seconds=600)
    client = smtplib.SMTP("127.0.0.1", mail.port, timeout=0.2)
    with pytest.raises(smtplib.SMTPServerDisconnected, match="timed out"):
        client.send_message(invitation())
    client.close()
    assert mail.messages() == []


def test_too_many_and_too_large_messages_are_refused(mail: Mail) -> None:
    mail.tell("settings", messages_per_second=1, max_bytes=4000)
    with mail.connect() as client:
        client.send_message(invitation())
        with pytest.raises(smtplib.SMTPDataError, match="450"):
            client.send_message(invitation())
        large = invitation()
        large.add_attachment(b"x" * 8000, maintype="application", subtype="octet-stream")
        with pytest.raises(smtplib.SMTPSenderRefused, match="552"):
            client.send_message(large)
    assert len(mail.messages()) == 1


def test_recipients_beyond_the_limit_are_told_to_come_again(mail: Mail) -> None:
    mail.tell("settings", max_recipients=1)
    with mail.connect() as client:
        refused = client.send_message(invitation("a@example.com", "b@example.com"))
    assert {address: code for address, (code, _) in refused.items()} == {"b@example.com": 452}


def test_a_wrong_login_is_refused(mail: Mail) -> None:
    with mail.connect() as client, pytest.raises(smtplib.SMTPAuthenticationError):
        client.login("calstream", "wrong")


@pytest.mark.parametrize(
    "fault",
    [{}, {"status": 200}, {"status": 451, "hang_seconds": 1}, {"stage": "x", "status": 451}],
)
def test_a_fault_that_makes_no_sense_is_refused(mail: Mail, fault: dict[str, Any]) -> None:
    assert httpx.post(f"{mail.url}/faults", json=fault).status_code == 400
