// Which record a step writes: the same in every kind of name server.
import { Select, SimpleGrid, TextInput } from '@mantine/core'
import type { ReactNode } from 'react'
import { type FormOf, WholeNumber } from './fields.tsx'

type RecordValue<Type extends string> = {
  readonly zone: string
  readonly recordName: string
  readonly recordType: Type
  readonly ttlSeconds: number
}

type RecordFieldsProps<Type extends string> = Pick<
  FormOf<RecordValue<Type>>,
  'value' | 'blocked' | 'onChange'
> & {
  readonly types: readonly Type[]
  readonly leastTtl: number
  /** What else the zone is told by. */
  readonly besideZone?: ReactNode
}

/** Hands back the parts of a record; the form that shows it puts them into its step. */
export function RecordFields<Type extends string>({
  value: { zone, recordName, recordType, ttlSeconds },
  types,
  leastTtl,
  blocked,
  besideZone = null,
  onChange,
}: RecordFieldsProps<Type>) {
  const record = { zone, recordName, recordType, ttlSeconds }
  const text = (name: 'zone' | 'recordName') => ({
    readOnly: blocked,
    value: record[name],
    onChange: (event: { readonly currentTarget: { readonly value: string } }) =>
      onChange({ ...record, [name]: event.currentTarget.value }, name),
  })
  return (
    <>
      <SimpleGrid cols={besideZone === null ? 1 : 2} spacing="xs">
        <TextInput label="Zone" placeholder="example.com" {...text('zone')} />
        {besideZone}
      </SimpleGrid>
      <TextInput label="Name of the record" placeholder="shop.example.com" {...text('recordName')} />
      <SimpleGrid cols={2} spacing="xs">
        <Select
          label="Type"
          allowDeselect={false}
          disabled={blocked}
          data={[...types] as string[]}
          value={recordType}
          onChange={(chosen) => {
            const type = types.find((each) => each === chosen)
            if (type) onChange({ ...record, recordType: type })
          }}
        />
        <WholeNumber
          label="TTL, seconds"
          value={ttlSeconds}
          min={leastTtl}
          max={2 ** 31 - 1}
          blocked={blocked}
          onChange={(seconds) => onChange({ ...record, ttlSeconds: seconds }, 'ttl')}
        />
      </SimpleGrid>
    </>
  )
}
