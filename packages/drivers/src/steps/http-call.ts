// An HTTP call. Other than a GET it may have an effect each time, so it is made once for an attempt.
import { join } from 'node:path'
import type { Clock } from '@understudy/base/instant'
import type { HttpAction } from '@understudy/domain/recovery-plans/step-action'
import type { StepOutcome, StepWork } from '@understudy/engine/ports/step-runner'
import { readJson, replaceJson, writeOnce } from './attempt-folder.ts'
import { limitTo } from './bounded-wait.ts'
import { CutAnswer, exchangeHttp, type HttpAnswer } from './http-exchange.ts'
import { clean, wholeLines } from './kept-output.ts'
import { interrupted } from './script-end.ts'
import { codeOf, notInTime, reasonOf, stepFailed } from './step-failures.ts'

const MOST_BYTES = 64 * 1024

/** Without the body: an answer can repeat a secret, and lies on our disk. */
type Kept = { readonly status: number; readonly location: string | null }

export async function callHttp(
  folder: string,
  action: HttpAction,
  { deadline }: Pick<StepWork, 'deadline'>,
  { clock, signal }: { readonly clock: Clock; readonly signal: AbortSignal },
): Promise<StepOutcome> {
  const url = toUrl(action.url)
  const what = `${action.method} ${url.origin}${url.pathname}`
  if (action.method === 'GET') return judge(action, what, await call())
  const answered = join(folder, 'http-answered.json')
  const known = await readJson<Kept>(answered)
  if (known !== null) return judge(action, what, { ...known, body: Buffer.alloc(0), isBounded: false })
  if (clock.now() >= deadline) throw notInTime(action.timeoutSeconds, 'the call was not begun')
  if (!(await writeOnce(join(folder, 'http-called.json'), {}))) throw maybeCalled(what)
  const answer = await call()
  await replaceJson(answered, { status: answer.status, location: answer.location } satisfies Kept)
  return judge(action, what, answer)

  async function call(): Promise<HttpAnswer> {
    const limit = limitTo(deadline - clock.now(), signal)
    try {
      return await exchangeHttp({ ...action, url, mostBytes: MOST_BYTES }, limit.signal)
    } catch (error) {
      signal.throwIfAborted()
      if (limit.isUp()) throw notInTime(action.timeoutSeconds, `no whole answer to ${what}`)
      throw callFailed(what, error)
    } finally {
      limit.end()
    }
  }
}

function toUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : null
  if (url !== null && (url.protocol === 'http:' || url.protocol === 'https:')) return url
  throw stepFailed('bad-url', 'The URL cannot be called', 'Give one that begins with https:// or http://.')
}

function judge({ expectedStatuses }: HttpAction, what: string, answer: HttpAnswer): StepOutcome {
  const { status, location, isBounded, body } = answer
  const text = isBounded
    ? `${clean(wholeLines(body))}[... the rest of the answer is left out, from the last end of a line that was read ...]\n`
    : clean(body)
  const output = text === '' ? null : text
  if (expectedStatuses.includes(status)) return { note: `${what} answered ${status}`, output }
  const where = location === null ? '' : `, a redirect to ${location}, which is not followed`
  throw stepFailed(
    'http-status',
    `${what} answered ${status}${where}; expected: ${expectedStatuses.join(', ')}`,
    'Look at the answer and at the log of the service.',
    { output },
  )
}

function callFailed(what: string, error: unknown) {
  if (error instanceof CutAnswer)
    return stepFailed(
      'http-cut',
      `${what}: ${error.message}`,
      'See whether the call has had its effect before it is tried again.',
    )
  const code = codeOf(error)
  // Node's own words would repeat the value, which may be secret.
  if (code === 'ERR_INVALID_CHAR' || code === 'ERR_INVALID_HTTP_TOKEN' || code === 'ERR_UNESCAPED_CHARACTERS')
    return stepFailed(
      'bad-header',
      `${what}: a header or the URL holds a character that HTTP does not allow, such as a line break`,
      'Correct the value of the parameter.',
    )
  const certificate = /CERT|SELF_SIGNED|ALTNAME|UNABLE_TO_/.test(code)
  return stepFailed(
    certificate ? 'certificate' : 'http-failed',
    `${what}: ${reasonOf(error)}`,
    certificate
      ? 'Give the service a certificate that is valid for this name, and let Node trust its authority (NODE_EXTRA_CA_CERTS).'
      : 'See that the service runs and can be reached from the server of Understudy.',
  )
}

const maybeCalled = (what: string) =>
  interrupted(
    `The answer to ${what} was lost when the server of Understudy ended; the call may have had its effect`,
    'See whether it has had its effect; then try the step again or skip it.',
  )
