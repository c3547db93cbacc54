import { expect, test } from 'vitest'
import { beginHistory, mostSteps, recordEdit, redo, redoable, undo, undoable } from './edit-history.ts'
import { planOfTwoGroups } from './plan-lab.ts'

const named = (name: string) => ({ ...planOfTwoGroups, name })
const begun = beginHistory(named('0'))
const edited = (history: ReturnType<typeof beginHistory>, name: string, field: string | null = null) =>
  recordEdit(history, { plan: named(name), what: `rename to ${name}`, field })

test('undo gives back the very plan that was, and redo what came after it', () => {
  const two = edited(edited(begun, '1'), '2')
  expect(undo(undo(two)).present.plan).toBe(begun.present.plan)
  expect(redo(undo(two)).present.plan).toBe(two.present.plan)
  expect([undoable(two), redoable(undo(two))]).toEqual(['rename to 2', 'rename to 2'])
})

test('the letters of one field are one edit, and another field begins the next', () => {
  const typed = edited(edited(edited(begun, 'a', 'name'), 'ab', 'name'), 'abc', 'name')
  expect(undo(typed).present.plan.name).toBe('0')
  expect(undo(edited(typed, 'x', 'other')).present.plan.name).toBe('abc')
})

test('whoever types on after an undo does not lose what the undo brought back', () => {
  const typed = edited(edited(begun, 'a', 'name'), 'b', 'other')
  const again = edited(undo(typed), 'ab', 'name')
  expect(undo(again).present.plan.name).toBe('a')
})

test('a new edit after an undo drops what was undone', () => {
  expect(redoable(edited(undo(edited(begun, '1')), '2'))).toBeNull()
})

test('an edit that changes nothing is none', () => {
  expect(recordEdit(begun, { plan: begun.present.plan, what: 'nothing', field: null })).toBe(begun)
})

test('with nothing to undo or redo it stays as it is', () => {
  expect([undo(begun), redo(begun)]).toEqual([begun, begun])
  expect([undoable(begun), redoable(begun)]).toEqual([null, null])
})

test('an hour of drawing is kept, a week of it is not', () => {
  let history = begun
  for (let count = 0; count < mostSteps + 50; count += 1) history = edited(history, String(count))
  expect(history.past).toHaveLength(mostSteps)
})
