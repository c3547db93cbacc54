// What a program does at the REST API: make the owner with the set-up link, take a token, ask, and wait for jobs.
import { setTimeout as wait } from 'node:timers/promises'
import type { PlanRun } from '@understudy/contract/recovery-plan'
import type { Product } from '../product.ts'

export type Api = <Answer>(method: string, path: string, body?: unknown) => Promise<Answer>
export type Listed<Item> = {
  readonly items: readonly Item[]
  readonly next: string | null
  readonly total: number | null
}
type Job = { readonly state: string; readonly title: string }

const endStates: readonly string[] = ['succeeded', 'failed', 'cancelled']

/** Makes the owner and a token of theirs: programs use tokens. */
export async function signUp({ address, setupLink }: Product): Promise<Api> {
  const password = 'a long enough password'
  const token = new URL(setupLink ?? 'http://no-link').searchParams.get('token')
  const origin = new URL(address).origin
  const setUp = await fetch(`${origin}/api/v1/setup`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ token, name: 'bench', password }),
  })
  const session: { csrfToken: string } = JSON.parse(await textOf(setUp))
  const cookie = setUp.headers
    .getSetCookie()
    .map((one) => one.split(';')[0])
    .join('; ')
  const made = await fetch(`${origin}/api/v1/tokens`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', cookie, 'x-csrf-token': session.csrfToken },
    body: JSON.stringify({ name: 'bench', role: 'owner', expiresInDays: 1 }),
  })
  const { secret }: { secret: string } = JSON.parse(await textOf(made))
  return async (method, path, body) => {
    const answer = await fetch(`${origin}/api/v1${path}`, {
      method,
      headers: { authorization: `Bearer ${secret}`, 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    const text = await textOf(answer)
    return text === '' ? null : JSON.parse(text)
  }
}

async function textOf(answer: Response): Promise<string> {
  const text = await answer.text()
  if (!answer.ok) throw new Error(`${answer.status} ${answer.url}: ${text.slice(0, 500)}`)
  return text
}

export async function listAll<Item>(api: Api, path: string): Promise<Item[]> {
  const items: Item[] = []
  for (let cursor: string | null = ''; cursor !== null; ) {
    const query: string = cursor === '' ? '' : `&cursor=${encodeURIComponent(cursor)}`
    const page: Listed<Item> = await api('GET', `${path}${path.includes('?') ? '&' : '?'}limit=500${query}`)
    items.push(...page.items)
    cursor = page.next
  }
  return items
}

/** Waits until the job has succeeded; throws with what it says when it ends in another way. */
export async function finishJob(api: Api, jobId: string, seconds: number): Promise<void> {
  const deadline = Date.now() + seconds * 1000
  for (;;) {
    const job = await api<Job>('GET', `/jobs/${jobId}`)
    if (job.state === 'succeeded') return
    if (endStates.includes(job.state) || Date.now() > deadline)
      throw new Error(`${job.title} is ${job.state}: ${JSON.stringify(job).slice(0, 2000)}`)
    await wait(100)
  }
}

/** The same for a run of a recovery plan. */
export async function finishPlanRun(api: Api, id: string, seconds: number): Promise<PlanRun> {
  const deadline = Date.now() + seconds * 1000
  for (;;) {
    const run = await api<PlanRun>('GET', `/plan-runs/${id}`)
    if (run.state === 'succeeded') return run
    if (endStates.includes(run.state) || Date.now() > deadline)
      throw new Error(
        `The run is ${run.state}: ${JSON.stringify(run.activities.find(({ failure }) => failure))}`,
      )
    await wait(100)
  }
}
