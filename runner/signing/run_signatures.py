"""What lies beside a bundle: signed by whoever runs it, and believed only if a trusted key signed it.

A digest from the same bucket proves nothing against whoever can write to it. So with ``RUNNER_SIGNING_KEY`` the ends
of attempts, with them the outcome, and every result are signed, and with ``RUNNER_TRUSTED_KEYS`` they are used only if
one of those keys signed them: for this run, this task, and what this run was asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from runner.errors import Untrusted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from runner.schema.documents import SignatureRecord
    from runner.signing.keys import PrivateKey, PublicKey


class RunSigner(NamedTuple):
    """Signs and checks what belongs to one run.

    Args:
        request_digest: the digest of what the run was asked for, which every signature is bound to.
        signing_key: signs what this process writes.
        trusted_keys: those of which one must have signed what is believed; none: everything is believed.
    """

    request_digest: str
    signing_key: PrivateKey | None = None
    trusted_keys: tuple[PublicKey, ...] = ()

    def sign(self, document: Mapping[str, Any]) -> SignatureRecord | None:
        """Return the ``signature`` of an end, if there is a key for it."""
        if self.signing_key is None:
            return None
        from runner.signing import signatures

        return signatures.sign_document(self.signing_key, signatures.DOCUMENT, document, self.request_digest)

    def check(self, run_id: str, document: Mapping[str, Any], where: str) -> None:
        """Refuse an end or outcome that no trusted key signed as one of this run. Raises Untrusted."""
        if not self.trusted_keys:
            return
        if document.get("run_id") != run_id:  # its signature may be true, and is another run's
            message = f"{where} is of run {document.get('run_id')!r}"
            raise Untrusted(message, hint="Somebody put it there: look who, and take another run id.")
        from runner.signing import signatures

        try:
            signatures.check_document(self.trusted_keys, signatures.DOCUMENT, document, where, self.request_digest)
        except Untrusted as error:
            hint = "Look who wrote it; take another run id, or have runs signed: RUNNER_SIGNING_KEY."
            raise Untrusted(error.message, hint=hint) from error

    def sign_result(self, run_id: str, slug: str, index: int | None, size: int, sha256: str) -> bytes | None:
        """Return what stands in the object beside a result, if there is a key for it."""
        if self.signing_key is None:
            return None
        from runner.signing import signatures

        return signatures.sign(self.signing_key, signatures.RESULT, self._result(run_id, slug, index, size, sha256))

    def check_result(
        self, run_id: str, slug: str, index: int | None, size: int, sha256: str, signature: bytes | None
    ) -> None:
        """Refuse a result that neither a trusted key nor the own one signed as that of this task in this run.

        Raises Untrusted.
        """
        from runner.signing import signatures

        keys = self.trusted_keys or ((self.signing_key.public,) if self.signing_key else ())
        text = self._result(run_id, slug, index, size, sha256)
        signatures.check(keys, signatures.RESULT, text, signature, f"the result of {slug}")

    def _result(self, run_id: str, slug: str, index: int | None, size: int, sha256: str) -> bytes:
        from runner.signing import signatures

        facts = {"run_id": run_id, "task": slug, "index": index, "size": size, "sha256": sha256}
        return signatures.document_text(facts, self.request_digest)


def request_digest(run: Mapping[str, Any]) -> str:
    """Return the SHA-256 of what makes a run the one it is: bundle, parameters, executor, and the run it repeats."""
    import hashlib

    from runner.signing import signatures

    facts = {"bundle": run["bundle"]["sha256"], "parameters": run["parameters"], "executor": run.get("executor")}
    if reuse := run.get("reuse"):  # few have one, and those of 0.1.0 had none here
        facts["reuse"] = reuse
    return hashlib.sha256(signatures.document_text(facts)).hexdigest()


def run_signer(
    signing_key: PrivateKey | None, trusted_keys: tuple[PublicKey, ...], run: Mapping[str, Any]
) -> RunSigner | None:
    """Return the signer of a run, or None where nothing is signed and nobody is distrusted."""
    if signing_key is None and not trusted_keys:
        return None
    return RunSigner(request_digest(run), signing_key, trusted_keys)
