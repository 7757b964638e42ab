use std::collections::BTreeMap;

use super::*;

#[test]
fn columns_are_written_in_the_order_of_the_specification() {
    let mut field = FieldStats::unknown(PrimitiveType::Double);
    field.nulls = Some(1);
    field.nans = Some(0);
    field.min = Some(Bound::exact(Value::Double(-0.0)));
    field.max = Some(Bound { value: Value::Double(f64::INFINITY), exact: false });
    let rows = [Stats(BTreeMap::from([(FieldId(7), field)])), Stats::default()];
    let columns = StatsColumns::from_rows(&rows);
    let text = serde_json::to_string(&StatsWriter(&columns)).unwrap();
    let expected = r#"{"7":{"type":"double","nulls":[1,null],"nans":[0,null],"min":[-0.0,null],"max":["Infinity",null],"max_exact":[false,true]}}"#;
    assert_eq!(text, expected);
    let read: StatsReader = serde_json::from_str(&text).unwrap();
    assert_eq!(read.of_entries(2).unwrap(), columns);
}
