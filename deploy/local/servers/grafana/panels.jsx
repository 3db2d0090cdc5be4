// A board of Grafana on one page, as its own packages draw it: what a panel's options
// mean is theirs to say. Heat maps and state timelines are not in the packages, and are
// drawn here, as tables are, from the colours and texts that Grafana's display processors give.
import { createRoot } from 'react-dom/client';
import { Fragment } from 'react';
import {
  applyFieldOverrides, createTheme, FieldType, getFieldDisplayName, getFieldDisplayValues, Registry, renderLegendFormat,
  standardFieldConfigEditorRegistry, standardTransformers, standardTransformersRegistry, ThemeContext, transformDataFrame,
  dateTime, getDisplayValueAlignmentFactors,
} from '@grafana/data';
import { BarGauge, BigValue, BigValueTextMode, TimeSeries, VizRepeater } from '@grafana/ui';
import inter from '@fontsource/inter/files/inter-latin-400-normal.woff2';
import interMedium from '@fontsource/inter/files/inter-latin-500-normal.woff2';
import plotted from 'uplot/dist/uPlot.min.css';

const theme = createTheme({ colors: { mode: new URLSearchParams(location.search).get('theme') ?? 'dark' } });
const column = 1600 / 24, row = 38, gap = 8, head = 32, pad = 8;

// What the panels' editors register in Grafana: names of options, and where they go.
const own = ['unit', 'min', 'max', 'decimals', 'noValue', 'color', 'thresholds', 'mappings', 'links'];
const customs = ['lineWidth', 'fillOpacity', 'showPoints', 'spanNulls', 'axisSoftMin', 'stacking', 'thresholdsStyle', 'lineStyle', 'displayMode', 'width',
  'align', 'filterable', 'inspect', 'drawStyle', 'hideFrom'];
const option = (id, path, isCustom) => ({ id, path, isCustom, name: id, process: (v) => v, shouldApply: () => true });
const options = () => [...own.map((n) => option(n, n, false)), ...customs.map((n) => option('custom.' + n, n, true))];
standardFieldConfigEditorRegistry.setInit(options);
const { mergeTransformer, organizeFieldsTransformer, sortByTransformer } = standardTransformers;
standardTransformersRegistry.setInit(() => [mergeTransformer, organizeFieldsTransformer, sortByTransformer].map((t) => ({ id: t.id, name: t.name, transformation: async () => t })));

// series is a frame per series, as Grafana's Prometheus makes them.
function series(ref, query) {
  return query.series.map((s) => ({
    refId: ref, length: s.values.length,
    fields: [
      { name: 'Time', type: FieldType.time, config: {}, values: s.values.map((v) => v[0]) },
      { name: 'Value', type: FieldType.number, labels: s.metric, values: s.values.map((v) => v[1]),
        config: { displayNameFromDS: query.legend ? renderLegendFormat(query.legend, s.metric) : undefined } },
    ],
  }));
}

// rows is a frame with a column per label.
function rows(ref, query, alone) {
  const labels = [...new Set(query.series.flatMap((s) => Object.keys(s.metric)))].sort();
  const last = query.series.map((s) => s.values.at(-1));
  return [{
    refId: ref, length: last.length,
    fields: [
      { name: 'Time', type: FieldType.time, config: {}, values: last.map((v) => v[0]) },
      ...labels.map((l) => ({ name: l, type: FieldType.string, config: {}, values: query.series.map((s) => s.metric[l] ?? '') })),
      { name: alone ? 'Value' : 'Value #' + ref, type: FieldType.number, config: {}, values: last.map((v) => v[1]) },
    ],
  }];
}

const transformed = (transformations, frames) => new Promise((next, error) =>
  transformDataFrame(transformations ?? [], frames, { interpolate: (v) => v }).subscribe({ next, error }));

function overridden(panel, frames) {
  const defaults = { ...panel.fieldConfig.defaults, custom: { drawStyle: 'line', ...panel.fieldConfig.defaults.custom } };
  return applyFieldOverrides({ data: frames, fieldConfig: { ...panel.fieldConfig, defaults }, theme, replaceVariables: (v) => v, timeZone: 'utc' });
}

const values = (panel, data) => () => getFieldDisplayValues({
  fieldConfig: panel.fieldConfig, reduceOptions: panel.options.reduceOptions, replaceVariables: (v) => v, theme, data, sparkline: panel.options.graphMode !== 'none', timeZone: 'utc',
});

function Number({ panel, data, width, height }) {
  const o = panel.options;
  return <VizRepeater source={data} renderCounter={0} autoGrid={true} itemSpacing={3} orientation={o.orientation} width={width} height={height} getValues={values(panel, data)}
    getAlignmentFactors={(all) => getDisplayValueAlignmentFactors(all)}
    renderValue={({ value, width, height, count, alignmentFactors }) => <div data-value={value.display.text}><BigValue value={value.display} count={count}
      sparkline={value.sparkline} colorMode={o.colorMode} graphMode={o.graphMode} justifyMode={o.justifyMode} alignmentFactors={alignmentFactors} theme={theme}
      textMode={o.textMode === 'auto' && count === 1 ? BigValueTextMode.Value : o.textMode} width={width} height={height} wideLayout={o.wideLayout} /></div>} />;
}

function Bars({ panel, data, width, height }) {
  const o = panel.options;
  return <VizRepeater source={data} renderCounter={0} orientation={o.orientation} width={width} height={height} minVizWidth={o.minVizWidth} minVizHeight={o.minVizHeight} maxVizHeight={o.maxVizHeight}
    itemSpacing={8} getValues={values(panel, data)} getAlignmentFactors={(all) => getDisplayValueAlignmentFactors(all)}
    renderValue={({ value, width, height, orientation, alignmentFactors }) => <div data-value={value.display.text}><BarGauge value={value.display} field={value.field} display={value.view?.getFieldDisplayProcessor(value.colIndex)}
      width={width} height={height} orientation={orientation} alignmentFactors={alignmentFactors} displayMode={o.displayMode} showUnfilled={o.showUnfilled}
      valueDisplayMode={o.valueMode} namePlacement={o.namePlacement} itemSpacing={8} theme={theme} lcdCellWidth={12} /></div>} />;
}

function Graph({ panel, data, width, height, range }) {
  return <TimeSeries frames={data} structureRev={1} width={width} height={height} timeRange={range} timeZone="utc" legend={panel.options.legend} options={panel.options} replaceVariables={(v) => v}
    dataLinkPostProcessor={undefined} />;
}

// What stands in a legend: the steps of thresholds, or what values are called.
function words(fields) {
  const { config, display } = fields[0];
  if (config.color?.mode === 'thresholds' && config.thresholds.steps.length > 1) {
    const steps = config.thresholds.steps;
    return steps.map((s, i) => [i ? display(s.value).text + '+' : '< ' + display(steps[1].value).text, theme.visualization.getColorByName(s.color)]);
  }
  return [...new Map(fields.flatMap((f) => f.values.filter((v) => v !== null).map((v) => f.display(v)).map((d) => [d.text, d.color])))];
}

function States({ data, width, height, range }) {
  const fields = data.map((f) => f.fields[1]), from = +range.from, to = +range.to, name = 190, h = (height - 44) / fields.length;
  const at = (t) => name + (t - from) / (to - from) * (width - name);
  return <div style={{ position: 'relative', height }}>{data.map((frame, i) => {
    const [times, field] = frame.fields;
    return <Fragment key={i}>
      <div data-name style={{ position: 'absolute', top: i * h, height: h, lineHeight: h + 'px', width: name - 8, textAlign: 'right', overflow: 'hidden', whiteSpace: 'nowrap', fontSize: Math.min(12, h) }}>{getFieldDisplayName(field, frame, data)}</div>
      {times.values.map((t, k) => field.values[k] === null ? null : <div key={k} style={{ position: 'absolute', top: i * h + h * .08, height: h * .84, left: at(t),
        width: Math.max(1, at(Math.min(to, times.values[k + 1] ?? to)) - at(t)), background: field.display(field.values[k]).color }} />)}
    </Fragment>;
  })}<Legend items={words(fields)} /></div>;
}

function Legend({ items }) {
  return <div style={{ position: 'absolute', bottom: 0 }}>{items.map(([text, color]) =>
    <span key={text} style={{ marginRight: 12 }}><i style={{ display: 'inline-block', width: 14, height: 4, background: color, marginRight: 5, verticalAlign: 'middle' }} />{text}</span>)}</div>;
}

// Buckets have no more in them than the ones above, less the ones below.
function Heat({ data, width, height, range }) {
  const bound = (f) => f.fields[1].labels.le === '+Inf' ? Infinity : +f.fields[1].labels.le;
  const all = [...data].sort((a, b) => bound(a) - bound(b)), from = +range.from, to = +range.to, name = 60, h = (height - 20) / all.length;
  const cells = all.flatMap((f, i) => f.fields[0].values.map((t, k) => [t, i, f.fields[1].values[k] - (i ? all[i - 1].fields[1].values[k] ?? 0 : 0)])).filter((c) => c[2] > 1e-9);
  const most = Math.max(...cells.map((c) => c[2]));
  const at = (t) => name + (t - from) / (to - from) * (width - name);
  return <div style={{ position: 'relative', height }}>
    {all.map((f, i) => i % 3 ? null : <div key={i} style={{ position: 'absolute', bottom: i * h, width: name - 6, textAlign: 'right' }}>{f.fields[1].display(bound(f)).text}{f.fields[1].display(bound(f)).suffix}</div>)}
    {cells.map(([t, i, v], k) => <div key={k} style={{ position: 'absolute', left: at(t), width: Math.max(1, (width - name) / 125), bottom: i * h, height: h - 1, background: `hsl(213 80% ${15 + 75 * v / most}%)` }} />)}
  </div>;
}

// Columns are as wide as they were told to be, and share the rest.
function List({ data: [frame], width, height }) {
  const fields = frame.fields, told = fields.reduce((sum, f) => sum + (f.config.custom?.width ?? 0), 0);
  const rest = (width - told) / fields.filter((f) => !f.config.custom?.width).length;
  const cell = (f, more) => ({ display: 'inline-block', boxSizing: 'border-box', width: f.config.custom?.width ?? rest, padding: '0 6px', overflow: 'hidden', whiteSpace: 'nowrap',
    textOverflow: 'ellipsis', textAlign: f.type === FieldType.number ? 'right' : 'left', ...more });
  return <div style={{ height, overflowY: 'auto', fontSize: 14, lineHeight: '36px' }}>
    <div>{fields.map((f, i) => <span key={i} style={cell(f, { fontWeight: 500 })}>{getFieldDisplayName(f, frame)}</span>)}</div>
    {fields[0].values.map((_, row) => <div key={row} style={{ borderTop: '1px solid #8884', whiteSpace: 'nowrap' }}>{fields.map((f, i) => {
      const shown = f.display(f.values[row]);
      return <span key={i} style={cell(f, { color: f.config.custom?.displayMode === 'color-text' ? shown.color : undefined })}>{shown.prefix}{shown.text}{shown.suffix}</span>;
    })}</div>)}
  </div>;
}

const draws = { stat: Number, bargauge: Bars, timeseries: Graph, 'state-timeline': States, heatmap: Heat };

function Draw({ panel, data, width, height, range }) {
  const nothing = data.every((f) => f.length === 0);
  if (panel.type === 'table') {
    return nothing ? <Nothing panel={panel} /> : <List data={data} width={width} height={height} />;
  }
  if (nothing && panel.type !== 'stat') {
    return <Nothing panel={panel} />;
  }
  const Kind = draws[panel.type];
  return <Kind {...{ panel, data, width, height, range }} />;
}

const Nothing = ({ panel }) => <div style={{ textAlign: 'center', paddingTop: 30 }} data-nothing>{panel.fieldConfig.defaults.noValue ?? 'No data'}</div>;

function Panel({ panel, data, at, range }) {
  const w = at.w * column - gap, h = at.h * row - gap;
  return <section data-panel={panel.title} data-type={panel.type} data-frames={data.length} style={{ position: 'absolute', left: at.x * column, top: at.y * row, width: w, height: h,
    background: theme.colors.background.primary, border: `1px solid ${theme.colors.border.weak}`, boxSizing: 'border-box' }}>
    <h6 style={{ height: head, lineHeight: head + 'px', margin: 0, padding: '0 8px', fontSize: 14, fontWeight: 500 }}>{panel.title}</h6>
    <div data-body style={{ position: 'relative', margin: pad, marginTop: 0, height: h - head - pad - 2, width: w - 2 * pad - 2 }}>
      <Draw panel={panel} data={data} range={range} width={w - 2 * pad - 2} height={h - head - pad - 2} />
    </div>
  </section>;
}

// placed are a board's panels from top to bottom, with those of folded rows.
function placed(board) {
  const out = [];
  let down = 0;
  for (const p of board.panels) {
    const at = { ...p.gridPos, y: p.gridPos.y + down };
    out.push({ panel: p, at });
    if (p.type === 'row' && p.panels?.length) {
      out.push(...p.panels.map((q) => ({ panel: q, at: { ...q.gridPos, y: q.gridPos.y + down } })));
      down += Math.max(...p.panels.map((q) => q.gridPos.y + q.gridPos.h)) - p.gridPos.y - 1;
    }
  }
  return out;
}

async function main() {
  const { board, results, from, to } = await (await fetch('data.json' + location.search)).json();
  const range = { from: dateTime(from), to: dateTime(to), raw: { from: dateTime(from), to: dateTime(to) } };
  for (const [url, weight] of [[inter, 400], [interMedium, 500]]) { // texts are measured before they are drawn
    document.fonts.add(await new FontFace('Inter', `url(${url})`, { weight }).load());
  }
  document.head.append(Object.assign(document.createElement('style'), { textContent: plotted + '* { box-sizing: border-box } button { background: none; border: 0; color: inherit; font: inherit }' }));
  const all = [];
  for (const { panel, at } of placed(board)) {
    const queries = Object.entries(results[panel.id] ?? {});
    const frames = queries.flatMap(([ref, q]) => panel.type === 'table' ? rows(ref, q, queries.length === 1) : series(ref, q));
    all.push({ panel, at, data: panel.type === 'row' ? [] : overridden(panel, await transformed(panel.transformations, frames)) });
  }
  const bottom = Math.max(...all.map(({ at }) => at.y + at.h)) * row;
  document.body.style.cssText = `margin:0;background:${theme.colors.background.canvas};color:${theme.colors.text.primary};font:12px ${theme.typography.fontFamily};height:${bottom}px`;
  createRoot(document.getElementById('board')).render(<ThemeContext.Provider value={theme}>{all.map(({ panel, at, data }, i) => panel.type === 'row'
    ? <div key={i} style={{ position: 'absolute', top: at.y * row + 8, left: 8, fontSize: 15 }}>⌄ {panel.title}</div>
    : <Panel key={i} {...{ panel, at, data, range }} />)}</ThemeContext.Provider>);
  setTimeout(done, 1500); // graphs are drawn after they are laid out
}

const done = () => document.body.append(Object.assign(document.createElement('i'), { id: 'drawn' }));
main().catch((e) => { console.error(e.stack ?? String(e)); done(); });
