"""What a person does in Roundcube, in a browser with scripts: mail, a draft with an attachment, folders, settings,
contacts, and signing out. The page is at the inbox, with two letters in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Frame, Page

NOTE = {"name": "note.txt", "mimeType": "text/plain", "buffer": b"note"}
FIRST = "#messagelist tbody tr >> nth=0"


class Use:
    """One person at Roundcube's page."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self._home = page.url.partition("?")[0]
        page.on("dialog", lambda dialog: dialog.accept())

    def everything(self) -> None:
        """All of it."""
        self.read_and_answer()
        self.lists()
        self.settings()
        self.contacts()
        self.sign_out()

    def read_and_answer(self) -> None:
        """Preview, open, source, answer with an attachment, draft, send; and a new one with a name completed."""
        self.page.click(FIRST)
        self._frame("_action=preview")
        self.page.dblclick(FIRST)
        self.page.wait_for_url("**_action=show**")
        self._do(
            "rcmail.command('viewsource')",
            "rcmail.http_request('headers', {_uid: rcmail.env.uid, _mbox: rcmail.env.mailbox})",
            "rcmail.command('reply', '')",
        )
        self.page.wait_for_url("**_action=compose&_id**")
        self.page.fill("#composebody", "Answer.")
        self.page.set_input_files("input[type=file] >> nth=0", [NOTE])
        self.page.wait_for_selector("#attachment-list li.txt")
        self._do("rcmail.command('savedraft')", "rcmail.command('send', {}, document.body)")
        self.page.wait_for_selector("#messagelist")
        self._at("?_task=mail&_action=compose")
        with self.page.expect_request("**_action=autocomplete**"):
            self.page.locator(".recipient-input input").first.type("ann", delay=30)
        self._do("window.onbeforeunload = null")

    def lists(self) -> None:
        """The lists of letters: look, sort, search, mark, move, delete, stay."""
        self._at("?_task=mail")
        self._do("rcmail.command('checkmail')", "rcmail.refresh()", "rcmail.command('list', 'Sent')")
        self._do("rcmail.command('list', 'INBOX')", "rcmail.command('sort', 'subject_ASC')")
        self.page.fill("#mailsearchform", "For")
        self.page.press("#mailsearchform", "Enter")
        self._do("1", "rcmail.command('reset-search')", "rcmail.http_request('keep-alive')")
        self.page.click(FIRST)
        self._do("1", "rcmail.command('mark', 'unread')", "rcmail.command('mark', 'flagged')")
        self._do("rcmail.command('move', 'Archive')")
        self.page.click(FIRST)
        self._do("1", "rcmail.command('print')", "rcmail.command('delete')")

    def settings(self) -> None:
        """Preferences, identities, responses, folders."""
        self._at("?_task=settings&_action=preferences")
        self._do("rcmail.sections_list.select('general')")
        self._save("edit-prefs")
        self._at("?_task=settings&_action=identities")
        self._do("rcmail.load_identity(1, 'edit-identity')")
        self._save("edit-identity")
        self._at("?_task=settings&_action=responses")
        self._do("rcmail.command('add')")
        self._save("add-response", _name="Thanks", _text="Thank you.")
        self._at("?_task=settings&_action=folders")
        self._do("rcmail.command('create-folder')")
        self._save("add-folder", _name="Projects")
        self._do("rcmail.subscription_list.select('INBOX')")
        self._do("rcmail.http_post('subscribe', {_mbox: 'Projects'})")
        self._do("rcmail.http_post('folder-size', {_mbox: 'INBOX'})")

    def contacts(self) -> None:
        """One more contact, found again; a group; the export."""
        self._at("?_task=addressbook")
        self._do("rcmail.command('add')")
        self._save("_action=add", _firstname="Bert", _surname="Example")
        self.page.fill("#searchform", "Bert")
        self._do("rcmail.command('search')", "rcmail.command('reset-search')")
        self._do(
            "rcmail.http_post('group-create', {_source: '0', _name: 'Friends'})", "rcmail.command('export')"
        )

    def sign_out(self) -> None:
        """Roundcube's own sign-out leads to the door's."""
        self._at("?_task=mail")
        self.page.evaluate("rcmail.command('logout')")
        self.page.wait_for_url("**/.gambeson/leave")

    def _at(self, query: str) -> None:
        self.page.goto(self._home + query)
        self.page.wait_for_load_state("networkidle")

    def _do(self, *commands: str) -> None:
        for command in commands:
            self.page.evaluate(command)
            self.page.wait_for_timeout(350)

    def _frame(self, part: str) -> Frame:
        for _ in range(100):
            for frame in self.page.frames:
                if part in frame.url:
                    frame.wait_for_load_state("load")
                    return frame
            self.page.wait_for_timeout(100)
        raise AssertionError(f"{part} in none of {[frame.url for frame in self.page.frames]}")

    def _save(self, part: str, **fields: str) -> None:
        frame = self._frame(part)
        for name, value in fields.items():
            frame.fill(f"[name={name}]", value)
        frame.evaluate("rcmail.command('save')")
        self.page.wait_for_timeout(500)
