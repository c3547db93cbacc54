// What is still to come of a run, being edited while the rest goes on. What has started is seen, and stays as it is.
import { Alert, Group, Stack, Text } from '@mantine/core'
import { IconArrowBackUp, IconArrowForwardUp, IconInfoCircle } from '@tabler/icons-react'
import { itemsOf, lastStartedGroup, startedFindings, validatePlan } from '@understudy/contract/plan-editing'
import type { PlanFinding, PlanRun } from '@understudy/contract/recovery-plan'
import { roleOf } from '@understudy/contract/roles'
import { type ReactNode, useCallback, useMemo, useState } from 'react'
import { useWhyRefused } from '../../api/session.ts'
import { ActionButton } from '../../ui/ActionButton.tsx'
import { Findings } from '../../ui/Findings.tsx'
import { PageHeader } from '../../ui/PageHeader.tsx'
import { FixedContext } from './fixed.ts'
import { ItemForm } from './ItemForm.tsx'
import { findingsBySpot, keyOfSpot } from './joined-findings.ts'
import { LeaveGuard } from './LeaveGuard.tsx'
import { LiveWords } from './LiveWords.tsx'
import { PlanCanvas } from './PlanCanvas.tsx'
import type { ItemId, Names } from './plan-draft.ts'
import { titleOfRun } from './plan-kinds.ts'
import { SaveRunDialog, TakeOverDialog } from './RunDialogs.tsx'
import { fixedOf, startedOf } from './run-fixed.ts'
import { EditorContext, usePlanEditor } from './use-plan-editor.ts'
import { useRunSaving } from './use-run-saving.ts'
import { useFollowing, useShortcuts } from './use-saving.ts'

type RunWorkshopProps = {
  readonly run: PlanRun
  readonly names: Names
  /** Of the address. */
  readonly item: string | null
  readonly onItem: (id: ItemId | null) => void
  readonly onDone: () => void
  /** The way back to the run. */
  readonly back: ReactNode
}

const noTimings = new Map<string, never>()

export function RunWorkshop({ run, names, item: opened, onItem, onDone, back }: RunWorkshopProps) {
  const stand = useMemo(() => ({ plan: run.plan, version: run.planRevision }), [run.plan, run.planRevision])
  const drawn = usePlanEditor(stand)
  const { plan, base, changed, editor } = drawn
  const [asked, setAsked] = useState<'save' | 'merge' | null>(null)
  const saving = useRunSaving(run.id, drawn, {
    onSaved: onDone,
    onOvertaken: () => setAsked('merge'),
  })
  useFollowing(stand, drawn)
  const started = useMemo(() => startedOf(run.activities), [run.activities])
  const fixed = useMemo(() => fixedOf(run, lastStartedGroup(run.plan, started)), [run, started])
  const findings = useMemo(
    () =>
      [
        ...startedFindings(base.plan, plan, { started, names }),
        ...validatePlan(plan, names),
      ] as readonly PlanFinding[],
    [base.plan, plan, started, names],
  )
  const bySpot = useMemo(() => findingsBySpot(findings), [findings])
  const overtaken = changed && run.planRevision > base.version
  const whyOver = run.actions.find(({ action }) => action === 'edit')?.reason ?? null
  const refused = useWhyRefused()(roleOf.planRuns.edit) ?? whyOver
  const begun = findings.some(({ code }) => code === 'plan-run/started')
  const reason = refused ?? whyNotSaved({ changed, faulty: !begun && !overtaken && hasBlocker(findings) })
  useShortcuts(drawn, () => reason === null && setAsked(overtaken || begun ? 'merge' : 'save'))
  const item = itemsOf(plan).find((placed) => placed.item.id === opened)?.item ?? null
  const select = useCallback((id: ItemId | null) => onItem(id), [onItem])
  const take = (to: 'save' | 'merge'): void => setAsked(to)
  return (
    <EditorContext value={editor}>
      <FixedContext value={fixed}>
        <PageHeader
          title={`Edit the ${titleOfRun[run.kind].toLowerCase()} of ${run.planName}`}
          note={<>{back} · Only this run changes, not the plan. What has started is locked.</>}
          actions={
            <Group gap="xs">
              <ActionButton
                variant="default"
                reason={drawn.undoable === null ? 'Nothing to take back' : null}
                leftSection={<IconArrowBackUp size={16} />}
                onClick={editor.undo}
              >
                Undo
              </ActionButton>
              <ActionButton
                variant="default"
                reason={drawn.redoable === null ? 'Nothing was taken back' : null}
                leftSection={<IconArrowForwardUp size={16} />}
                onClick={editor.redo}
              >
                Redo
              </ActionButton>
              <ActionButton reason={reason} onClick={() => take(overtaken || begun ? 'merge' : 'save')}>
                Take it over into the run
              </ActionButton>
            </Group>
          }
        />
        <Stack gap="md">
          {(overtaken || begun) && (
            <Alert
              role="alert"
              color="yellow"
              variant="light"
              icon={<IconInfoCircle size={18} />}
              title={
                overtaken
                  ? 'Somebody else has edited this run meanwhile'
                  : 'What you changed has begun meanwhile'
              }
            >
              <Group justify="space-between" gap="sm">
                <Text size="sm">
                  {overtaken
                    ? 'Your edit goes on from there once both are joined.'
                    : 'It runs as it was. The rest of your edit can still be taken over.'}
                </Text>
                <ActionButton reason={refused} size="compact-sm" onClick={() => take('merge')}>
                  See how they fit together
                </ActionButton>
              </Group>
            </Alert>
          )}
          <Findings findings={bySpot.get('plan') ?? []} label="What is wrong with the plan" />
          <PlanCanvas
            plan={plan}
            names={names}
            findings={findings}
            timings={noTimings}
            selected={item?.id ?? null}
            onSelect={select}
            blocked={refused !== null}
            aside={
              item && (
                <ItemForm
                  key={item.id}
                  plan={plan}
                  names={names}
                  item={item}
                  findings={bySpot.get(keyOfSpot({ kind: 'item', id: item.id })) ?? []}
                  timing={null}
                  blocked={refused !== null || fixed.items.has(item.id)}
                  onSelect={select}
                />
              )
            }
          />
        </Stack>
        <LiveWords announcer={drawn.announcer} />
        {asked === 'save' && (
          <SaveRunDialog
            plan={plan}
            base={base}
            names={names}
            pending={saving.isPending}
            error={saving.error}
            onSave={saving.save}
            onClose={() => setAsked(null)}
          />
        )}
        {asked === 'merge' && (
          <TakeOverDialog
            runId={run.id}
            plan={plan}
            base={base}
            names={names}
            onClose={() => setAsked(null)}
            onTake={(stands, draft) => {
              editor.rebase(stands.theirs, stands.planRevision, draft ?? undefined)
              editor.say(
                draft ? 'Both are joined. The run has nothing of it yet' : 'Your changes are thrown away',
              )
              setAsked(null)
            }}
          />
        )}
        <LeaveGuard changed={changed && !saving.isSaved} name={`the run of ${run.planName}`} />
      </FixedContext>
    </EditorContext>
  )
}

const hasBlocker = (findings: readonly PlanFinding[]): boolean =>
  findings.some(({ level }) => level === 'blocker')

function whyNotSaved({
  changed,
  faulty,
}: {
  readonly changed: boolean
  readonly faulty: boolean
}): string | null {
  if (!changed) return 'Nothing has changed'
  return faulty ? 'Something of it stands in the way: see what is marked red' : null
}
