import { describe, expect, test } from 'vitest'
import { openHoldGate } from './hold-gate.ts'

const turns = async (): Promise<void> => {
  for (let turn = 0; turn < 10; turn += 1) await Promise.resolve()
}

describe('while the server is held still', () => {
  test('nothing is written: what was begun is waited for, the rest waits', async () => {
    const gate = openHoldGate()
    const done: string[] = []
    const slow = Promise.withResolvers<void>()
    const first = gate.write(async () => {
      await slow.promise
      done.push('first')
    })
    const holding = gate.hold(60).then((end) => {
      done.push('held')
      return end
    })
    const second = gate.write(async () => void done.push('second'))
    await turns()
    expect(done).toEqual([])
    slow.resolve()
    const end = await holding
    await turns()
    expect(done).toEqual(['first', 'held'])
    end()
    await Promise.all([first, second])
    expect(done).toEqual(['first', 'held', 'second'])
  })

  test('two holds are over when both are, and ending one twice ends no other', async () => {
    const gate = openHoldGate()
    const [one, two] = [await gate.hold(60), await gate.hold(60)]
    let written = false
    const write = gate.write(async () => {
      written = true
    })
    one()
    one()
    await turns()
    expect(written).toBe(false)
    two()
    await write
    expect(written).toBe(true)
  })

  test('waiting has an end, for whoever writes and for whoever wants to hold', async () => {
    const gate = openHoldGate()
    await gate.hold(0.05)
    await gate.write(async () => {})
    const never = gate.write(() => new Promise(() => {}))
    await expect(gate.hold(0.05)).rejects.toMatchObject({ code: 'linux/not-held-still' })
    await gate.write(async () => {})
    void never
  })
})
