import { describe, expect, test } from 'vitest'
import { toCsv } from './csv.ts'

type Row = { readonly name: string; readonly lag: number | null }
const columns = [
  { name: 'Name', of: (row: Row) => row.name },
  { name: 'Lag, s', of: (row: Row) => row.lag },
]

describe('tables as CSV', () => {
  test('a header line, one line a row, and nothing for a value that is not there', () => {
    expect(
      toCsv(columns, [
        { name: 'web-1', lag: 4.5 },
        { name: 'db', lag: null },
      ]),
    ).toBe('Name,"Lag, s"\r\nweb-1,4.5\r\ndb,\r\n')
  })
  test('quotes, commas and line ends in a name stay inside their cell', () => {
    expect(toCsv(columns, [{ name: 'a "b", c\nd', lag: 1 }])).toContain('"a ""b"", c\nd",1')
  })
  test('a name that begins like a formula is not run by the spreadsheet; a negative number stays one', () => {
    const csv = toCsv(columns, [{ name: '=HYPERLINK("x")', lag: -1 }])
    expect(csv).toContain(`"'=HYPERLINK(""x"")",-1`)
  })
})
