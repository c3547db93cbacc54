import { beforeEach, describe, expect, it, vi } from 'vitest'

const left: string[] = []
vi.mock('./leave.ts', () => ({ leave: (why: string) => left.push(why) }))
let unsaved = false
vi.mock('../lib/unsaved-work.ts', () => ({ hasUnsavedWork: () => unsaved }))

const fresh = async () => {
  vi.resetModules()
  return await import('./session-end.ts')
}

describe('a session that ends by itself', () => {
  beforeEach(() => {
    left.length = 0
  })

  it('leaves the page where nothing would be lost', async () => {
    unsaved = false
    const { endSession } = await fresh()
    endSession('olga')
    expect(left).toEqual(['session-ended'])
  })

  it('keeps it for whoever it belongs to, and for nobody else', async () => {
    unsaved = true
    const { endSession, signedInAgain } = await fresh()
    endSession('olga')
    endSession(null)
    signedInAgain('olga')
    expect(left).toEqual([])
    endSession('olga')
    signedInAgain('otto')
    expect(left).toEqual(['session-ended'])
  })
})
