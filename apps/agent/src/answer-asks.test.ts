import type { FromAgent } from '@understudy/agent-protocol/messages'
import type { SourceDesk } from '@understudy/drivers/physical/source-desk'
import { expect, test } from 'vitest'
import { createAnswerer } from './answer-asks.ts'

type Reply = Extract<FromAgent, { type: 'reply' }>

function answererOver(answer: SourceDesk['answer']) {
  const said: Reply[] = []
  const desk: SourceDesk = {
    answer,
    read: () => Promise.reject(new Error('nobody reads')),
    isBusy: () => false,
    close: async () => {},
  }
  const answerer = createAnswerer(desk, (reply) => said.push(reply))
  const ask = (id: string): void => answerer.ask({ type: 'ask', id, kind: 'describe-server', body: {} })
  return { answerer, ask, said }
}

test('an answer that is longer than a message may be is told as a failure, and does not end the connection again and again', async () => {
  const { ask, said } = answererOver(async () => ({ text: 'é'.repeat(200_000) }))
  ask('one')
  await expect.poll(() => said.length).toBe(1)
  expect(said[0]).toMatchObject({
    id: 'one',
    outcome: { kind: 'failed', failure: { kind: 'refusal', code: 'agent/answer-too-long' } },
  })
})

test('whoever asks for more than is worked on at once is told so', async () => {
  const { answerer, ask, said } = answererOver(() => new Promise(() => {}))
  for (let id = 0; id < 201; id += 1) ask(`ask-${id}`)
  await expect.poll(() => said.length).toBe(1)
  expect(said[0]).toMatchObject({
    id: 'ask-200',
    outcome: { kind: 'failed', failure: { kind: 'outage', code: 'agent/too-many-asks' } },
  })
  // What is worked on already is not begun again, and is no more than before.
  ask('ask-0')
  expect(said).toHaveLength(1)
  answerer.stop()
})
