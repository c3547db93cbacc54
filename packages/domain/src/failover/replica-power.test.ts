import { expect, test } from 'vitest'
import type { PowerState } from '../machines/machine.ts'
import { judgeReplica, nothingSeen, type ReplicaVerdict } from './replica-power.ts'

/** One look every half minute. */
function verdictsOf(looks: readonly (PowerState | null)[]): readonly ReplicaVerdict[] {
  let seen = nothingSeen
  return looks.map((power, index) => {
    const judged = judgeReplica(seen, power, index * 30_000)
    seen = judged.seen
    return judged.verdict
  })
}

test.each<[string, readonly (PowerState | null)[], readonly ReplicaVerdict[]]>([
  [
    'that went off under the eyes of its host is told and not started: somebody may have meant it',
    ['running', 'off', 'off', 'off', 'off'],
    ['runs', 'wait', 'wait', 'tell', 'tell'],
  ],
  [
    'whose host was away is started when it has been off for a minute',
    ['running', null, 'off', 'off', 'off'],
    ['runs', 'wait', 'wait', 'wait', 'start'],
  ],
  [
    'whose host was away, of a site that answers for its other hosts, is started as well',
    ['running', 'unknown', 'off', 'off', 'off'],
    ['runs', 'wait', 'wait', 'wait', 'start'],
  ],
  [
    'that is found off by somebody who has not seen it on is told',
    ['off', 'off', 'off'],
    ['wait', 'wait', 'tell'],
  ],
  [
    'that was started again and is switched off later is told',
    ['running', null, 'off', 'off', 'off', 'running', 'off', 'off', 'off'],
    ['runs', 'wait', 'wait', 'wait', 'start', 'runs', 'wait', 'wait', 'tell'],
  ],
  ['that is restarted at its site is left alone', ['running', 'off', 'running'], ['runs', 'wait', 'runs']],
])('a replica %s', (_, looks, verdicts) => {
  expect(verdictsOf(looks)).toEqual(verdicts)
})

test('a replica that does not stay up is started three times', () => {
  const looks = [null, ...Array.from({ length: 20 }, () => 'off' as const)]
  const verdicts = verdictsOf(looks)
  expect(verdicts.filter((verdict) => verdict === 'start')).toHaveLength(3)
  expect(verdicts.at(-1)).toBe('tell')
})
