import { Button, Drawer, Group, Table, Text, VisuallyHidden } from '@mantine/core'
import { useDisclosure } from '@mantine/hooks'
import { type Icon, IconPlus } from '@tabler/icons-react'
import { useMutation } from '@tanstack/react-query'
import { type ReactNode, useState } from 'react'
import { ConfirmByName } from '../../ui/ConfirmByName.tsx'
import { EmptyState } from '../../ui/EmptyState.tsx'
import { When } from '../../ui/When.tsx'

/** What lets somebody or something in without signing in: a token, a display link. */
type Given = {
  readonly id: string
  readonly name: string
  readonly createdAt: string
  readonly lastUsedAt: string | null
  readonly expiresAt: string | null
}

type AccessListProps<Item extends Given> = {
  readonly items: readonly Item[]
  readonly icon: Icon
  /** `New token`: of the button and of the drawer. */
  readonly newTitle: string
  readonly empty: { readonly title: string; readonly words: ReactNode }
  /** The column that only these have. */
  readonly column: { readonly title: string; readonly of: (item: Item) => ReactNode }
  readonly madeBy?: (item: Item) => ReactNode
  readonly form: (onDone: () => void) => ReactNode
  readonly revoke: {
    readonly words: string
    readonly act: (id: string) => Promise<unknown>
    readonly onSettled: () => Promise<unknown>
  }
}

/** A table of them, with a drawer to make one and a dialog to revoke one. */
export function AccessList<Item extends Given>(props: AccessListProps<Item>) {
  const { items, icon, newTitle, empty, column, madeBy, form, revoke } = props
  const [opened, { open, close }] = useDisclosure()
  const [revoked, setRevoked] = useState<Item | null>(null)
  const add = (
    <Button leftSection={<IconPlus size={16} />} onClick={open}>
      {newTitle}
    </Button>
  )
  return (
    <>
      {items.length === 0 ? (
        <EmptyState icon={icon} title={empty.title} action={add}>
          {empty.words}
        </EmptyState>
      ) : (
        <>
          <Group justify="flex-end" p={10}>
            {add}
          </Group>
          <Table.ScrollContainer minWidth={640}>
            <Table>
              <Table.Thead>
                <Table.Tr>
                  <Table.Th>Name</Table.Th>
                  <Table.Th>{column.title}</Table.Th>
                  <Table.Th>Made</Table.Th>
                  <Table.Th>Last used</Table.Th>
                  <Table.Th>Ends</Table.Th>
                  <Table.Th>
                    <VisuallyHidden>Actions</VisuallyHidden>
                  </Table.Th>
                </Table.Tr>
              </Table.Thead>
              <Table.Tbody>
                {items.map((item) => (
                  <Table.Tr key={item.id}>
                    <Table.Td fw={500}>{item.name}</Table.Td>
                    <Table.Td>{column.of(item)}</Table.Td>
                    <Table.Td>
                      <When at={item.createdAt} />
                      {madeBy?.(item)}
                    </Table.Td>
                    <Table.Td>
                      <When at={item.lastUsedAt} absent="never" />
                    </Table.Td>
                    <Table.Td>
                      <When at={item.expiresAt} absent="never" />
                    </Table.Td>
                    <Table.Td ta="right">
                      <Button
                        variant="subtle"
                        color="red"
                        size="compact-xs"
                        onClick={() => setRevoked(item)}
                        aria-label={`Revoke ${item.name}`}
                      >
                        Revoke
                      </Button>
                    </Table.Td>
                  </Table.Tr>
                ))}
              </Table.Tbody>
            </Table>
          </Table.ScrollContainer>
        </>
      )}
      <Drawer
        opened={opened}
        onClose={close}
        position="right"
        title={newTitle}
        closeButtonProps={{ 'aria-label': 'Close' }}
      >
        {form(close)}
      </Drawer>
      {revoked && <Revoke item={revoked} revoke={revoke} onDone={() => setRevoked(null)} />}
    </>
  )
}

type RevokeProps = {
  readonly item: Pick<Given, 'id' | 'name'>
  readonly revoke: AccessListProps<Given>['revoke']
  readonly onDone: () => void
}

function Revoke({ item, revoke, onDone }: RevokeProps) {
  const remove = useMutation({
    mutationFn: () => revoke.act(item.id),
    onSuccess: onDone,
    onSettled: revoke.onSettled,
  })
  return (
    <ConfirmByName
      opened
      onClose={onDone}
      title={`Revoke ${item.name}?`}
      name={item.name}
      confirm={`Revoke ${item.name}`}
      pending={remove.isPending}
      error={remove.error}
      onConfirm={() => remove.mutate()}
    >
      <Text size="sm">{revoke.words} This cannot be undone.</Text>
    </ConfirmByName>
  )
}
