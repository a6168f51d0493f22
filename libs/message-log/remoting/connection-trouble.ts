import { type ConnectError, type ErrorContext, RetriableError } from '@rocketmq-connect/sdk';

/** Nothing was sent. */
export function refused(address: string, cause: Error): RetriableError {
  return new RetriableError(`cannot connect to ${address}: ${reasonOf(cause)}`, { ...adviceOf(cause), code: 'CONNECTION_REFUSED', cause });
}

/** What was sent may have been done. `mute`: what may be why it never answered anything. */
export function lost(address: string, cause: Error, mute: ErrorContext | null): RetriableError {
  const advice = adviceOf(cause) ?? mute ?? {};
  return new RetriableError(`the connection to ${address} is lost: ${reasonOf(cause)}`, { ...advice, code: 'CONNECTION_LOST', cause });
}

/** Why a server may end a connection without a word: it wants TLS, or a certificate, which TLS 1.3 asks for when all else is done. */
export function muteBecause(tls: { readonly cert?: string } | undefined): ErrorContext | null {
  if (tls === undefined) return WANTS_TLS;
  return tls.cert === undefined ? WANTS_CERTIFICATE : null;
}

/** The field and the remedy of an error, to hand them on. */
export function adviceIn({ field, remedy }: ConnectError): ErrorContext {
  return { ...(field === undefined ? {} : { field }), ...(remedy === undefined ? {} : { remedy }) };
}

/** OpenSSL's own texts have addresses of memory and lines of its code in them. */
function reasonOf(error: Error & { readonly reason?: unknown }): string {
  return typeof error.reason === 'string' ? error.reason : error.message;
}

function adviceOf(error: Error & { readonly code?: unknown }): ErrorContext | undefined {
  const code = String(error.code ?? '');
  return ADVICE.find(({ codes }) => codes.test(code))?.context;
}

const ADVICE: readonly { readonly codes: RegExp; readonly context: ErrorContext }[] = [
  {
    codes: /CERT_IN_CHAIN|UNABLE_TO_(VERIFY|GET_ISSUER)|SELF_SIGNED|CERT_(UNTRUSTED|SIGNATURE_FAILURE)/,
    context: { field: 'rocketmq.tlsCaFile', remedy: 'Name the file of the authority that signed the certificates of the servers.' },
  },
  {
    codes: /ALTNAME_INVALID|CERT_HAS_EXPIRED|CERT_NOT_YET_VALID/,
    context: {
      field: 'rocketmq.tls',
      remedy: "The server's certificate must be valid now, for the host in its address: have it made anew.",
    },
  },
  {
    codes: /ALERT_(CERTIFICATE_REQUIRED|BAD_CERTIFICATE|UNKNOWN_CA|HANDSHAKE_FAILURE|CERTIFICATE_\w+|UNSUPPORTED_CERTIFICATE)/,
    context: {
      field: 'rocketmq.tlsCertFile',
      remedy:
        'The server asks for a certificate: give rocketmq.tlsCertFile and rocketmq.tlsKeyFile, signed by an authority that it trusts.',
    },
  },
  {
    codes: /WRONG_VERSION_NUMBER|PACKET_LENGTH_TOO_LONG/,
    context: {
      field: 'rocketmq.tls',
      remedy: 'The server does not speak TLS there: leave rocketmq.tls and the files out, or have it speak TLS.',
    },
  },
];

const WANTS_CERTIFICATE: ErrorContext = {
  field: 'rocketmq.tlsCertFile',
  remedy: 'Give it, with rocketmq.tlsKeyFile, if the server asks for a certificate; else look at the log of the server.',
};

const WANTS_TLS: ErrorContext = {
  field: 'rocketmq.tls',
  remedy: 'Set it if the server wants TLS; else look at the log of the server.',
};
