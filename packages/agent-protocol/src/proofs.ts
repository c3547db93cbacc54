// What an agent signs. Each names what it is for and whom it is meant for, so that no signature serves anywhere else: the server is named
// by the fingerprint of its certificate, and its nonce is fresh, so nothing that was recorded works again, whatever the clocks say.

export type HelloProof = {
  readonly agentId: string
  /** The server's challenge, of this connection alone. */
  readonly nonce: string
  /** `sha256:…` of the certificate that the signer sees. */
  readonly fingerprint: string
}

export const helloProof = ({ agentId, nonce, fingerprint }: HelloProof): Uint8Array =>
  lines('understudy agent hello 1', agentId, nonce, fingerprint)

export type EnrolProof = {
  readonly token: string
  readonly publicKey: string
  readonly serverIdentity: string
  readonly fingerprint: string
}

export const enrolProof = ({ token, publicKey, serverIdentity, fingerprint }: EnrolProof): Uint8Array =>
  lines('understudy agent enrol 1', token, publicKey, serverIdentity, fingerprint)

export type StreamProof = {
  readonly agentId: string
  /** Of the control connection that it belongs to, which was signed itself. */
  readonly session: string
  /** Of the stream, counted by the agent: each is taken once. */
  readonly number: number
  readonly fingerprint: string
}

export const streamProof = ({ agentId, session, number, fingerprint }: StreamProof): Uint8Array =>
  lines('understudy agent stream 1', agentId, session, String(number), fingerprint)

export type ProgramProof = {
  readonly platform: string
  readonly version: string
  readonly bytes: number
  /** Of all of it, in hexadecimal digits. */
  readonly sha256: string
}

/** Signed by the installation that gives the program away: nothing else is put in the place of an agent. */
export const programProof = ({ platform, version, bytes, sha256 }: ProgramProof): Uint8Array =>
  lines('understudy agent program 1', platform, version, String(bytes), sha256)

/** The same of a stream from the server: `number` is what the server has called it. */
export const fetchProof = ({ agentId, session, number, fingerprint }: StreamProof): Uint8Array =>
  lines('understudy agent fetch 1', agentId, session, String(number), fingerprint)

/** JSON keeps the parts apart, whatever is in them. */
const lines = (...parts: readonly string[]): Uint8Array => new TextEncoder().encode(JSON.stringify(parts))

/** `sha256:` and 64 hexadecimal digits, in small letters. */
export const isFingerprint = (text: string): boolean => /^sha256:[0-9a-f]{64}$/.test(text)

/** Of a data stream. */
export const streamHeaders = {
  agent: 'x-understudy-agent',
  number: 'x-understudy-stream',
  signature: 'x-understudy-signature',
} as const

/** Of the program: what `programProof` is over, and the signature of it. */
export const programHeaders = {
  platform: 'x-understudy-platform',
  version: 'x-understudy-version',
  sha256: 'x-understudy-sha256',
  signature: 'x-understudy-signature',
} as const

/** Where the two meet, below the address of the server. */
export const agentPaths = {
  /** Answered without TLS as well: whoever asks knows the fingerprint, and believes nothing else. */
  certificate: '/agents/v1/certificate',
  enrol: '/agents/v1/enrol',
  control: '/agents/v1/control',
  /** And behind it the session. */
  streams: '/agents/v1/streams',
  /** And behind it the platform: the program itself, for anyone. It is no secret. */
  program: '/agents/v1/program',
  /** What is to be written, fetched by a receiver; behind it the session. */
  writes: '/agents/v1/writes',
} as const
