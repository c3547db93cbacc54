// A plan being looked at and drawn: its head, its tabs, and everything that is asked before or after an edit.
import { Badge, Skeleton, Stack, Tabs } from '@mantine/core'
import { itemsOf } from '@understudy/contract/plan-editing'
import type { PlanDetail } from '@understudy/contract/recovery-plan'
import { roleOf } from '@understudy/contract/roles'
import { lazy, type ReactNode, Suspense, useCallback, useMemo, useState } from 'react'
import { useWhyRefused } from '../../api/session.ts'
import { Findings } from '../../ui/Findings.tsx'
import { PageHeader } from '../../ui/PageHeader.tsx'
import { Panel } from '../../ui/Panel.tsx'
import { When } from '../../ui/When.tsx'
import { ItemForm } from './ItemForm.tsx'
import { findingsBySpot, keyOfSpot } from './joined-findings.ts'
import { LeaveGuard } from './LeaveGuard.tsx'
import { LiveWords } from './LiveWords.tsx'
import { MergeDialog } from './MergeDialog.tsx'
import { Overtaken } from './Overtaken.tsx'
import { ParameterForm } from './ParameterForm.tsx'
import { PlanActions } from './PlanActions.tsx'
import { PlanCanvas } from './PlanCanvas.tsx'
import { PlanFields } from './PlanFields.tsx'
import { PlanFigures } from './PlanFigures.tsx'
import { PlanSecret } from './PlanSecret.tsx'
import classes from './PlanWorkshop.module.css'
import type { ItemId, Names } from './plan-draft.ts'
import type { StartKind } from './plan-kinds.ts'
import { SaveDialog } from './SaveDialog.tsx'
import { TimetablePanel } from './TimetablePanel.tsx'
import { type PlanChecked, usePlanCheck } from './use-plan-check.ts'
import { type DrawnPlan, EditorContext, usePlanEditor } from './use-plan-editor.ts'
import { useFollowing, useSaving, useShortcuts } from './use-saving.ts'

// A plan can be looked at and drawn before these are there.
const DryRunDialog = lazy(async () => ({ default: (await import('./DryRunDialog.tsx')).DryRunDialog }))
const VersionList = lazy(async () => ({ default: (await import('./VersionList.tsx')).VersionList }))

export const planTabs = ['plan', 'timetable', 'parameters', 'settings', 'versions', 'tests', 'runs'] as const
export type PlanTab = (typeof planTabs)[number]

/** What of it is in the address. */
export type PlanView = {
  readonly tab?: PlanTab | undefined
  readonly item?: string | undefined
  readonly from?: string | undefined
  readonly to?: string | undefined
  /** Which kind of run the timetable and the check are for. */
  readonly kind?: StartKind | undefined
}

type PlanWorkshopProps = {
  readonly detail: PlanDetail
  readonly names: Names
  readonly view: PlanView
  /** Changes only what it names. Always the same function. */
  readonly onView: (change: PlanView) => void
  readonly onRemoved: () => void
  /** What starts it, and what has been started: drawn by whoever knows runs. `blocked`: why not now. */
  readonly start?: (blocked: string | null) => ReactNode
  readonly runs?: ReactNode
  /** How it is tested, and what that has shown. */
  readonly tests?: ReactNode
}

type Asked = 'save' | 'merge' | 'dry-run' | null

export function PlanWorkshop(props: PlanWorkshopProps) {
  const { detail, names, view, onRemoved, start } = props
  const drawn = usePlanEditor(detail)
  const { plan, base, changed, editor } = drawn
  const checked = usePlanCheck(plan, names, view.kind ?? 'unplanned')
  const [asked, setAsked] = useState<Asked>(null)
  const refused = useWhyRefused()(roleOf.plans.save)
  const saving = useSaving(detail.id, drawn, {
    onSaved: () => setAsked(null),
    onOvertaken: () => setAsked('merge'),
  })
  useFollowing(detail, drawn)
  useShortcuts(drawn, () => saving.reason(refused) === null && setAsked('save'))
  const overtaken = detail.version > base.version && changed

  return (
    <EditorContext value={editor}>
      <div className={classes.head}>
        <PageHeader
          title={plan.name || 'Plan without a name'}
          badges={
            <>
              <Badge color="gray" variant="outline" className={classes.version}>
                version {base.version}
              </Badge>
              {changed && <Badge color="yellow">not saved</Badge>}
            </>
          }
          note={
            <>
              Saved <When at={detail.savedAt} /> by {detail.savedBy}
              {detail.comment === '' ? '' : `: ${detail.comment}`}
            </>
          }
          actions={
            <>
              <PlanActions
                detail={detail}
                drawn={drawn}
                saveReason={saving.reason(refused)}
                onSave={() => setAsked('save')}
                onDryRun={() => setAsked('dry-run')}
                onRemoved={onRemoved}
              />
              {start?.(changed ? 'Save or undo your changes first: a run takes what is saved' : null)}
            </>
          }
        />
      </div>
      <Stack gap="md">
        {overtaken && <Overtaken detail={detail} onMerge={() => setAsked('merge')} />}
        <PlanFigures detail={detail} plan={plan} checked={checked} />
        <PlanTabs {...props} drawn={drawn} checked={checked} refused={refused} />
      </Stack>
      <LiveWords announcer={drawn.announcer} />
      {asked === 'save' && (
        <SaveDialog
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
        <MergeDialog
          planId={detail.id}
          plan={plan}
          base={base}
          names={names}
          onClose={() => setAsked(null)}
          onTake={(newest, draft) => {
            editor.rebase(newest.plan, newest.version, draft ?? undefined)
            editor.say(draft ? 'Both are taken over. Nothing is saved yet' : 'Your changes are thrown away')
            setAsked(null)
          }}
        />
      )}
      {asked === 'dry-run' && (
        <Suspense fallback={null}>
          <DryRunDialog
            planId={detail.id}
            saved={detail}
            names={names}
            changed={changed}
            onClose={() => setAsked(null)}
          />
        </Suspense>
      )}
      <LeaveGuard changed={changed} name={base.plan.name} />
    </EditorContext>
  )
}

type TabsProps = PlanWorkshopProps & {
  readonly drawn: DrawnPlan
  readonly checked: PlanChecked
  readonly refused: string | null
}

function PlanTabs(props: TabsProps) {
  const { detail, names, view, onView, runs, tests, drawn, checked, refused } = props
  const { plan, base, changed } = drawn
  const tab = view.tab ?? 'plan'
  const blocked = refused !== null
  const faulty = checked.findings.filter(({ at }) => at.kind === 'parameter').length
  return (
    <Tabs
      value={tab}
      onChange={(next) => onView({ tab: planTabs.find((each) => each === next) ?? 'plan' })}
      keepMounted={false}
    >
      <Tabs.List mb="sm">
        <Tabs.Tab value="plan">Plan</Tabs.Tab>
        <Tabs.Tab value="timetable">Timetable</Tabs.Tab>
        <Tabs.Tab
          value="parameters"
          rightSection={
            faulty > 0 ? (
              <Badge size="sm" color="red" circle aria-label={`${faulty} findings`}>
                {faulty}
              </Badge>
            ) : null
          }
        >
          Parameters
        </Tabs.Tab>
        <Tabs.Tab value="settings">Settings</Tabs.Tab>
        <Tabs.Tab value="versions">Versions</Tabs.Tab>
        {tests !== undefined && <Tabs.Tab value="tests">Tests</Tabs.Tab>}
        {runs !== undefined && <Tabs.Tab value="runs">Runs</Tabs.Tab>}
      </Tabs.List>
      <Tabs.Panel value="plan">
        <Drawing {...props} blocked={blocked} />
      </Tabs.Panel>
      <Tabs.Panel value="timetable">
        <TimetablePanel
          plan={plan}
          names={names}
          checked={checked}
          kind={view.kind ?? 'unplanned'}
          onKind={(kind) => onView({ kind })}
          onOpen={(item) => onView({ tab: 'plan', item })}
        />
      </Tabs.Panel>
      <Tabs.Panel value="parameters">
        <ParameterForm
          plan={plan}
          findings={checked.findings}
          blocked={blocked}
          secretOf={({ name }) => <PlanSecret detail={detail} name={name} />}
        />
      </Tabs.Panel>
      <Tabs.Panel value="settings">
        <Panel title="The plan itself">
          <PlanFields plan={plan} blocked={blocked} />
        </Panel>
      </Tabs.Panel>
      <Tabs.Panel value="versions">
        <Suspense fallback={<Skeleton h={320} />}>
          <VersionList
            planId={detail.id}
            newest={Math.max(base.version, detail.version)}
            changed={changed}
            from={view.from === undefined ? null : Number(view.from)}
            to={view.to === undefined ? null : Number(view.to)}
            onCompare={(from, to) => onView({ from: String(from), to: String(to) })}
          />
        </Suspense>
      </Tabs.Panel>
      {tests !== undefined && <Tabs.Panel value="tests">{tests}</Tabs.Panel>}
      {runs !== undefined && <Tabs.Panel value="runs">{runs}</Tabs.Panel>}
    </Tabs>
  )
}

/** The canvas with the form of what is selected, and what is wrong with the plan as a whole. */
function Drawing({
  names,
  view,
  onView,
  drawn,
  checked,
  blocked,
}: TabsProps & { readonly blocked: boolean }) {
  const { plan } = drawn
  const bySpot = useMemo(() => findingsBySpot(checked.findings), [checked.findings])
  const timings = useMemo(
    () => new Map(checked.timetable?.items.map((timing) => [timing.itemId, timing])),
    [checked.timetable],
  )
  const item = itemsOf(plan).find((placed) => placed.item.id === view.item)?.item ?? null
  const select = useCallback((id: ItemId | null) => onView({ item: id ?? undefined }), [onView])
  const whole = bySpot.get('plan') ?? []
  return (
    <Stack gap="sm">
      {whole.length > 0 && plan.groups.length > 0 && (
        <Findings findings={whole} label="What is wrong with the plan" />
      )}
      <PlanCanvas
        plan={plan}
        names={names}
        findings={checked.findings}
        timings={timings}
        selected={item?.id ?? null}
        onSelect={select}
        blocked={blocked}
        aside={
          item && (
            <ItemForm
              key={item.id}
              plan={plan}
              names={names}
              item={item}
              findings={bySpot.get(keyOfSpot({ kind: 'item', id: item.id })) ?? []}
              timing={timings.get(item.id) ?? null}
              blocked={blocked}
              onSelect={select}
            />
          )
        }
      />
    </Stack>
  )
}
